/* A provider that costs next to nothing: one thread, epoll, no JSON parser. `provider PORT DELAY_MS`
 *
 * It echoes the last message of a chat completion, at once or DELAY_MS later. It shares a core with the load,
 * the broker and Redis, so every microsecond here is one they lack.
 */
#include "http.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MOST_CONNECTIONS 65536
#define EVENTS 256

typedef struct {
    int is_open;
    uint64_t serial; /* of the connection: a descriptor is used again */
    char *in;
    size_t bytes, room;
} Connection;

typedef struct {
    uint64_t due_ns, serial;
    int fd;
    char *answer;
    size_t bytes;
} Delayed;

static Connection connections[MOST_CONNECTIONS];
static Delayed *delayed;
static size_t first_delayed, delayed_count, delayed_room;
static uint64_t delay_ns, serials, answers;
static int poller;

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static void leave(int fd) {
    connections[fd].is_open = 0;
    connections[fd].bytes = 0;
    close(fd);
}

static void write_all(int fd, const char *answer, size_t bytes) {
    for (size_t at = 0; at < bytes;) {
        ssize_t written = send(fd, answer + at, bytes - at, MSG_NOSIGNAL);
        if (written > 0) at += written;
        else if (errno == EAGAIN) usleep(50);
        else { leave(fd); return; }
    }
}

/* The JSON string after the last `"name":`, without its quotes, escapes as they came. */
static const char *last_string(const char *body, size_t bytes, const char *name, size_t *length) {
    const char *found = NULL, *at = body, *end = body + bytes;
    size_t name_bytes = strlen(name);
    while ((at = memmem(at, end - at, name, name_bytes))) found = at += name_bytes;
    *length = 0;
    if (!found) return "";
    while (found < end && *found != '"') found++;
    const char *start = ++found;
    while (found < end && *found != '"') found += *found == '\\' ? 2 : 1;
    *length = found < end ? (size_t)(found - start) : 0;
    return start;
}

static size_t write_answer(char *answer, size_t room, const char *body, size_t bytes) {
    size_t content_bytes, model_bytes;
    const char *content = last_string(body, bytes, "\"content\":", &content_bytes);
    const char *model = last_string(body, bytes, "\"model\":", &model_bytes);
    static char json[1 << 20];
    int json_bytes = snprintf(json, sizeof json,
        "{\"id\":\"chatcmpl-%lu\",\"object\":\"chat.completion\",\"created\":1700000000,\"model\":\"%.*s\","
        "\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"echo: %.*s\",\"refusal\":null,"
        "\"annotations\":[]},\"logprobs\":null,\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":32,"
        "\"completion_tokens\":32,\"total_tokens\":64,\"prompt_tokens_details\":{\"cached_tokens\":0,"
        "\"audio_tokens\":0},\"completion_tokens_details\":{\"reasoning_tokens\":0,\"audio_tokens\":0}},"
        "\"service_tier\":\"default\",\"system_fingerprint\":\"fp_bench\"}",
        ++answers, (int)model_bytes, model, (int)content_bytes, content);
    return snprintf(answer, room,
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s", json_bytes, json);
}

static void answer_later(int fd, const char *answer, size_t bytes) {
    if (first_delayed + delayed_count == delayed_room) {
        if (delayed_count) memmove(delayed, delayed + first_delayed, delayed_count * sizeof *delayed);
        first_delayed = 0;
        if (delayed_count * 2 >= delayed_room)
            delayed = realloc(delayed, (delayed_room = delayed_room * 2 + 1024) * sizeof *delayed);
    }
    char *copy = memcpy(malloc(bytes), answer, bytes);
    delayed[first_delayed + delayed_count++] =
        (Delayed){now_ns() + delay_ns, connections[fd].serial, fd, copy, bytes};
}

static void answer_due(void) {
    for (; delayed_count && delayed[first_delayed].due_ns <= now_ns(); first_delayed++, delayed_count--) {
        Delayed *due = &delayed[first_delayed];
        Connection *c = &connections[due->fd];
        if (c->is_open && c->serial == due->serial) write_all(due->fd, due->answer, due->bytes);
        free(due->answer);
    }
}

static void answer_whole_requests(int fd) {
    static char answer[1 << 20];
    Connection *c = &connections[fd];
    char *body;
    size_t body_bytes, used;
    while (c->is_open && c->bytes && whole_message(c->in, c->bytes, &body, &body_bytes, &used)) {
        size_t bytes = write_answer(answer, sizeof answer, body, body_bytes);
        if (delay_ns) answer_later(fd, answer, bytes);
        else write_all(fd, answer, bytes);
        memmove(c->in, c->in + used, c->bytes - used);
        c->bytes -= used;
    }
}

static void take_in(int fd) {
    Connection *c = &connections[fd];
    for (;;) {
        if (c->room - c->bytes < 4096) c->in = realloc(c->in, c->room = c->room * 2 + 8192);
        size_t room = c->room - c->bytes;
        ssize_t got = recv(fd, c->in + c->bytes, room, MSG_DONTWAIT);
        if (got == 0 || (got < 0 && errno != EAGAIN)) { leave(fd); return; }
        if (got > 0) c->bytes += got;
        if (got < 0 || (size_t)got < room) break;
    }
    answer_whole_requests(fd);
}

static void welcome(int listener) {
    int fd, yes = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        if (fd >= MOST_CONNECTIONS) { close(fd); continue; }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        connections[fd].is_open = 1;
        connections[fd].serial = ++serials;
        connections[fd].bytes = 0;
        struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
        epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
    }
}

static int milliseconds_to_next(void) {
    if (!delayed_count) return -1;
    uint64_t now = now_ns(), due = delayed[first_delayed].due_ns;
    return due > now ? (int)((due - now) / 1000000) + 1 : 0;
}

static int listen_on(int port) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof at;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), yes = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(listener, (void *)&at, sizeof at) || listen(listener, 4096)) { perror("provider"); exit(1); }
    getsockname(listener, (void *)&at, &bytes);
    printf("listening on http://127.0.0.1:%d/v1\n", ntohs(at.sin_port));
    fflush(stdout);
    return listener;
}

int main(int argc, char **argv) {
    if (argc != 3) { fprintf(stderr, "provider PORT DELAY_MS\n"); return 2; }
    delay_ns = (uint64_t)(atof(argv[2]) * 1e6);
    prctl(PR_SET_TIMERSLACK, 1000);
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    poller = epoll_create1(0);
    int listener = listen_on(atoi(argv[1]));
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener}, events[EVENTS];
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int count = epoll_wait(poller, events, EVENTS, milliseconds_to_next());
        for (int i = 0; i < count; i++)
            if (events[i].data.fd == listener) welcome(listener);
            else take_in(events[i].data.fd);
        answer_due();
    }
}
