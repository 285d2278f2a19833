/* The load: one thread, epoll. Closed loop, or open loop at Poisson arrivals timed from when each was due.
 *
 *   load -p PORT -u PATH -b BODY_FILE -e EXPECTED [-H "name: value"]... [-c CONNECTIONS] [-w WARM_UP_S]
 *        [-d SECONDS] [-r PER_SECOND] [-q QUESTIONS] [-i IDS] [-o TRIES] [-n REQUESTS] [-t TAIL_S] [-s EVERY]
 *
 * -q, -i  so many different {{N}}, {{M}} in turn; 0: each is new     -r  open loop, else closed
 * -o      who is refused with 429 or 503 asks again when Retry-After says, so many times at most
 * -n      end after so many requests     -t  how long to wait for the last answers
 * -s      say `answered N` after every so many answers
 * An answer is right when it is a 200 that holds EXPECTED. Prints `measuring`, `measured`, then one JSON object.
 */
#include "latencies.h"
#include "question.h"
#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define EVENTS 256
#define SECOND 1000000000ull

typedef struct {
    uint64_t due_ns, question, request;
    int tries;
} Question;

typedef struct {
    int fd, is_busy, is_measured;
    uint64_t since_ns;
    Question asked;
    char *out, *in;
    size_t bytes, room;
} Connection;

static int port, connection_count = 1, most_tries;
static double warm_up = 1, seconds = 5, rate, tail = 30;
static uint64_t question_count, id_count, most_requests, said_every, begun_ns, measuring_ns, end_ns, next_due_ns, sequence;
static Template request, expected;
static char *expected_text;
static Connection *connections;
static int *idle, idle_count, poller, timer, phase;
static Question *again; /* a heap by due_ns */
static size_t again_count, again_room;

static Latencies latencies;
static uint64_t statuses[600], measured, failed, wrong, refused, untold_refusals, repeats, obeyed, obeyed_at_once;
static uint64_t gave_up, all_answers;
static double retry_after_sum, retry_after_least = 1e9, retry_after_most;
static char problem[400];

static void say(const char *word) { puts(word); fflush(stdout); }

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * SECOND + t.tv_nsec;
}

static double uniform(void) {
    static uint64_t state = 88172645463325252ull;
    state ^= state << 13; state ^= state >> 7; state ^= state << 17;
    return ((state >> 11) + 1) * (1.0 / 9007199254740993.0);
}

static void complain(int status, const char *text, size_t bytes) {
    if (problem[0]) return;
    int at = snprintf(problem, sizeof problem, "%d ", status);
    for (size_t i = 0; i < bytes && at < (int)sizeof problem - 2; i++)
        problem[at++] = text[i] < ' ' || text[i] > '~' || text[i] == '"' || text[i] == '\\' ? '\'' : text[i];
    problem[at] = 0;
}

/* --- who is to ask again, and when --- */

static void push_again(Question q) {
    if (again_count == again_room)
        again = realloc(again, (again_room = again_room * 2 + 1024) * sizeof *again);
    size_t at = again_count++;
    for (; at && again[(at - 1) / 2].due_ns > q.due_ns; at = (at - 1) / 2) again[at] = again[(at - 1) / 2];
    again[at] = q;
}

static Question pop_again(void) {
    Question first = again[0], last = again[--again_count];
    size_t at = 0, child;
    while ((child = 2 * at + 1) < again_count) {
        if (child + 1 < again_count && again[child + 1].due_ns < again[child].due_ns) child++;
        if (last.due_ns <= again[child].due_ns) break;
        again[at] = again[child];
        at = child;
    }
    again[at] = last;
    return first;
}

/* --- connections --- */

static void connect_again(Connection *c) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (c->fd >= 0) close(c->fd);
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    for (int tries = 0; connect(c->fd, (void *)&to, sizeof to); tries++) {
        if (tries == 200) { fprintf(stderr, "load: nobody listens on port %d\n", port); exit(1); }
        close(c->fd);
        usleep(20000);
        c->fd = socket(AF_INET, SOCK_STREAM, 0);
    }
    int yes = 1;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = c - connections};
    epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &event);
    c->bytes = 0;
}

static void open_connections(void) {
    connections = calloc(connection_count, sizeof *connections);
    idle = malloc(connection_count * sizeof *idle);
    for (int i = 0; i < connection_count; i++) {
        connections[i].fd = -1;
        connections[i].out = memcpy(malloc(request.bytes), request.text, request.bytes);
        connect_again(&connections[i]);
        idle[idle_count++] = i;
    }
}

/* Whoever rests for long is hung up on; who asks then has a new connection, as with every HTTP client. */
static int is_closed(Connection *c) {
    char byte;
    ssize_t got = recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return got == 0 || (got < 0 && errno != EAGAIN);
}

static void send_question(Connection *c, Question q) {
    if (is_closed(c)) connect_again(c);
    fill(&request, c->out, q.question, q.request);
    c->asked = q;
    c->is_busy = 1;
    c->since_ns = q.due_ns;
    c->is_measured = rate ? q.due_ns >= measuring_ns && q.due_ns < end_ns : 0;
    for (size_t at = 0; at < request.bytes;) {
        ssize_t sent = send(c->fd, c->out + at, request.bytes - at, MSG_NOSIGNAL);
        if (sent < 0) return; /* the end of the connection is told by the poller */
        at += sent;
    }
}

static Question new_question(uint64_t due_ns) {
    uint64_t number = ++sequence;
    return (Question){due_ns, question_count ? (number - 1) % question_count + 1 : number,
                      id_count ? (number - 1) % id_count + 1 : number, 1};
}

static int has_more(uint64_t now) {
    if (most_requests && sequence >= most_requests) return 0;
    return (rate ? next_due_ns : now) < end_ns; /* who was due in time is asked, however late */
}

static int asks_new(uint64_t now) {
    return has_more(now) && (!rate || next_due_ns <= now);
}

static uint64_t after_pause(uint64_t due_ns) {
    return due_ns + (uint64_t)(-log(uniform()) / rate * SECOND);
}

/* Gives what is due to who is idle. */
static void ask(void) {
    while (idle_count) {
        uint64_t now = now_ns();
        if (again_count && again[0].due_ns <= now) send_question(&connections[idle[--idle_count]], pop_again());
        else if (asks_new(now)) {
            uint64_t due = rate ? next_due_ns : now;
            if (rate) next_due_ns = after_pause(next_due_ns);
            send_question(&connections[idle[--idle_count]], new_question(due));
        } else return;
    }
}

/* --- answers --- */

static void refuse(Connection *c, int status, const char *head, size_t head_bytes) {
    const char *told = header(head, head_bytes, "retry-after");
    double after = told ? atof(told) : 0;
    refused += c->is_measured;
    if (!told) { untold_refusals++; complain(status, "without Retry-After", 19); }
    if (told) {
        retry_after_sum += after;
        if (after < retry_after_least) retry_after_least = after;
        if (after > retry_after_most) retry_after_most = after;
    }
    if (!most_tries) return;
    if (c->asked.tries > most_tries) { gave_up++; return; }
    repeats++;
    Question q = c->asked;
    q.tries++;
    q.due_ns = now_ns() + (uint64_t)(after * SECOND);
    push_again(q);
}

static void judge(Connection *c, int status, char *body, size_t body_bytes, uint64_t now) {
    all_answers++;
    if (said_every && all_answers % said_every == 0) { printf("answered %lu", all_answers); say(""); }
    int is_refusal = status == 429 || status == 503;
    if (!rate) c->is_measured = now >= measuring_ns && now < end_ns;
    if (status >= 0 && status < 600) statuses[status] += c->is_measured;
    if (is_refusal) { refuse(c, status, c->in, body - c->in); return; }
    fill(&expected, expected_text, c->asked.question, c->asked.request);
    int is_right = status == 200 && memmem(body, body_bytes, expected_text, expected.bytes);
    if (!is_right) {
        *(status == 200 ? &wrong : &failed) += 1;
        complain(status, body, body_bytes);
        return;
    }
    if (c->asked.tries > 1) { obeyed++; obeyed_at_once += c->asked.tries == 2; }
    if (c->is_measured) { measured++; note(&latencies, (now - c->since_ns) / 1000); }
}

static void lose(Connection *c) {
    if (c->is_busy) {
        failed++;
        complain(0, "the connection was closed instead of an answer", 46);
        c->is_busy = 0;
        idle[idle_count++] = c - connections;
    }
    connect_again(c);
}

static void take_in(Connection *c) {
    if (c->room - c->bytes < 4096) c->in = realloc(c->in, c->room = c->room * 2 + 8192);
    ssize_t got = recv(c->fd, c->in + c->bytes, c->room - c->bytes, MSG_DONTWAIT);
    if (got == 0 || (got < 0 && errno != EAGAIN)) { lose(c); return; }
    if (got > 0) c->bytes += got;
    char *body;
    size_t body_bytes, used;
    if (!c->is_busy || !whole_message(c->in, c->bytes, &body, &body_bytes, &used)) return;
    c->is_busy = 0;
    c->bytes = 0;
    idle[idle_count++] = c - connections;
    judge(c, atoi(c->in + 9), body, body_bytes, now_ns());
}

/* --- time --- */

static void set_timer(void) {
    uint64_t now = now_ns(), at = end_ns + (uint64_t)(tail * SECOND);
    if (phase == 0 && measuring_ns < at) at = measuring_ns;
    if (phase <= 1 && end_ns < at) at = end_ns;
    if (idle_count && again_count && again[0].due_ns < at) at = again[0].due_ns;
    if (rate && idle_count && has_more(now) && next_due_ns < at) at = next_due_ns;
    struct itimerspec when = {.it_value = {at / SECOND, at % SECOND}};
    timerfd_settime(timer, TFD_TIMER_ABSTIME, &when, NULL);
}

static void follow_phases(void) {
    uint64_t now = now_ns();
    if (phase == 0 && now >= measuring_ns) { phase = 1; say("measuring"); }
    if (phase == 1 && now >= end_ns) { phase = 2; say("measured"); }
}

static int is_finished(void) {
    uint64_t now = now_ns();
    if (now >= end_ns + (uint64_t)(tail * SECOND)) return 1;
    return idle_count == connection_count && !again_count && !has_more(now);
}

static void run(void) {
    struct epoll_event events[EVENTS];
    begun_ns = now_ns();
    measuring_ns = begun_ns + (uint64_t)(warm_up * SECOND);
    end_ns = measuring_ns + (uint64_t)(seconds * SECOND);
    next_due_ns = begun_ns;
    for (ask(); !is_finished(); ask()) {
        set_timer();
        int count = epoll_wait(poller, events, EVENTS, -1);
        for (int i = 0; i < count; i++)
            if (events[i].data.u32 < (uint32_t)connection_count) take_in(&connections[events[i].data.u32]);
        follow_phases();
    }
    if (phase < 1) say("measuring");
    if (phase < 2) say("measured");
    if (idle_count < connection_count) complain(0, "no answer in time", 17);
    failed += connection_count - idle_count;
    for (; rate && has_more(end_ns); next_due_ns = after_pause(next_due_ns)) {
        failed++;
        complain(0, "not asked in time: no connection was free", 41);
    }
}

static void print_result(void) {
    uint64_t ended_ns = now_ns() < end_ns ? now_ns() : end_ns;
    printf("{\"seconds\":%.6f,\"answers\":%lu,\"all_answers\":%lu,\"p50_ms\":%.4f,\"p90_ms\":%.4f,\"p99_ms\":%.4f,"
           "\"most_ms\":%.4f,\"failed\":%lu,\"wrong\":%lu,\"refused\":%lu,\"untold_refusals\":%lu,\"repeats\":%lu,"
           "\"obeyed\":%lu,\"obeyed_at_once\":%lu,\"gave_up\":%lu,\"unasked\":%zu,\"asked\":%lu,"
           "\"retry_after_seconds\":[%.3f,%.3f,%.3f],\"statuses\":{",
           (ended_ns - measuring_ns) / (double)SECOND, measured, all_answers, percentile_ms(&latencies, 50),
           percentile_ms(&latencies, 90), percentile_ms(&latencies, 99), latencies.most_us / 1000.0, failed, wrong,
           refused, untold_refusals, repeats, obeyed, obeyed_at_once, gave_up, again_count, sequence,
           retry_after_most ? retry_after_least : 0, retry_after_sum / (repeats + gave_up ? repeats + gave_up : 1),
           retry_after_most);
    const char *comma = "";
    for (int status = 0; status < 600; status++)
        if (statuses[status]) { printf("%s\"%d\":%lu", comma, status, statuses[status]); comma = ","; }
    printf("},\"first_problem\":\"%s\"}\n", problem);
}

static char *whole_file(const char *path, size_t *bytes) {
    FILE *file = fopen(path, "rb");
    if (!file) { perror(path); exit(2); }
    char *text = malloc(1 << 20);
    *bytes = fread(text, 1, 1 << 20, file);
    fclose(file);
    return text;
}

int main(int argc, char **argv) {
    const char *path = "/invoke", *body_path = NULL, *expected_words = "";
    char headers[4096] = "";
    for (int o; (o = getopt(argc, argv, "p:u:b:e:H:c:w:d:r:q:i:o:n:t:s:")) > 0;)
        switch (o) {
        case 'p': port = atoi(optarg); break;
        case 'u': path = optarg; break;
        case 'b': body_path = optarg; break;
        case 'e': expected_words = optarg; break;
        case 'H': strcat(strcat(headers, optarg), "\r\n"); break;
        case 'c': connection_count = atoi(optarg); break;
        case 'w': warm_up = atof(optarg); break;
        case 'd': seconds = atof(optarg); break;
        case 'r': rate = atof(optarg); break;
        case 'q': question_count = strtoull(optarg, NULL, 10); break;
        case 'i': id_count = strtoull(optarg, NULL, 10); break;
        case 'o': most_tries = atoi(optarg); break;
        case 'n': most_requests = strtoull(optarg, NULL, 10); break;
        case 's': said_every = strtoull(optarg, NULL, 10); break;
        case 't': tail = atof(optarg); break;
        default: return 2;
        }
    if (!body_path) { fprintf(stderr, "load: -b is missing\n"); return 2; }
    size_t body_bytes;
    char *body = whole_file(body_path, &body_bytes);
    request = request_template(path, headers, body, body_bytes);
    expected = template_of(expected_words, strlen(expected_words));
    expected_text = memcpy(malloc(expected.bytes + 1), expected.text, expected.bytes);
    prctl(PR_SET_TIMERSLACK, 1000);
    poller = epoll_create1(0);
    timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    open_connections();
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u32 = connection_count};
    epoll_ctl(poller, EPOLL_CTL_ADD, timer, &event);
    run();
    print_result();
    return 0;
}
