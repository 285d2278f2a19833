/* A request whose numbers are put in place: {{N}} the question's, {{M}} the request's, 12 digits each. */
#ifndef QUESTION_H
#define QUESTION_H
#include "http.h"
#include <stdint.h>
#include <stdio.h>

#define DIGITS 12
#define MOST_PLACES 16

typedef struct {
    char *text;
    size_t bytes, places[MOST_PLACES];
    char kinds[MOST_PLACES];
    int place_count;
} Template;

static Template template_of(const char *text, size_t bytes) {
    Template t = {.text = malloc(bytes * 3 + 1)};
    for (size_t at = 0; at < bytes;) {
        int is_place = at + 5 <= bytes && !memcmp(text + at, "{{", 2) && !memcmp(text + at + 3, "}}", 2);
        if (is_place && t.place_count < MOST_PLACES) {
            t.places[t.place_count] = t.bytes;
            t.kinds[t.place_count++] = text[at + 2];
            t.bytes += DIGITS;
            at += 5;
        } else t.text[t.bytes++] = text[at++];
    }
    t.text[t.bytes] = 0;
    return t;
}

/* `text` is a copy of the template's. */
static void fill(const Template *t, char *text, uint64_t question, uint64_t request) {
    for (int i = 0; i < t->place_count; i++) {
        uint64_t number = t->kinds[i] == 'N' ? question : request;
        for (int digit = DIGITS - 1; digit >= 0; digit--, number /= 10)
            text[t->places[i] + digit] = '0' + number % 10;
    }
}

static Template request_template(const char *path, const char *headers, const char *body, size_t bytes) {
    Template filled = template_of(body, bytes); /* only for its length */
    char *text = malloc(bytes + strlen(headers) + 1024);
    int head = sprintf(text, "POST %s HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n%s"
                       "content-length: %zu\r\n\r\n", path, headers, filled.bytes);
    memcpy(text + head, body, bytes);
    return template_of(text, head + bytes);
}
#endif
