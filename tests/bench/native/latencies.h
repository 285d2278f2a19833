/* Counted latencies, 128 steps to each power of two: right within 0.8 %. */
#ifndef LATENCIES_H
#define LATENCIES_H
#include <stdint.h>

#define STEPS 128
#define CELLS (STEPS * 40)

typedef struct {
    uint64_t cells[CELLS], count, most_us;
} Latencies;

static int cell_of(uint64_t us) {
    if (us < 2 * STEPS) return (int)us;
    int octave = 63 - __builtin_clzll(us) - 7;
    int cell = STEPS * octave + (int)(us >> octave);
    return cell < CELLS ? cell : CELLS - 1;
}

static double us_of(int cell) {
    if (cell < 2 * STEPS) return cell;
    int octave = cell / STEPS - 1;
    return (cell % STEPS + STEPS + 0.5) * (double)(1ull << octave);
}

static void note(Latencies *l, uint64_t us) {
    l->cells[cell_of(us)]++;
    l->count++;
    if (us > l->most_us) l->most_us = us;
}

static double percentile_ms(const Latencies *l, double percent) {
    uint64_t wanted = (uint64_t)(l->count * percent / 100 + 0.999999), seen = 0;
    for (int cell = 0; cell < CELLS && l->count; cell++)
        if ((seen += l->cells[cell]) >= (wanted ? wanted : 1)) return us_of(cell) / 1000;
    return 0;
}
#endif
