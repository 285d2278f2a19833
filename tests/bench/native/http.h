/* As much of HTTP/1.1 as the bench needs: a head, then a body by length or in chunks. */
#ifndef HTTP_H
#define HTTP_H
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* The value of a header of this head; NULL if it has none. */
static const char *header(const char *head, size_t head_bytes, const char *name) {
    size_t name_bytes = strlen(name);
    const char *end = head + head_bytes, *line = head;
    while ((line = memchr(line, '\n', end - line)) && ++line + name_bytes < end)
        if (!strncasecmp(line, name, name_bytes) && line[name_bytes] == ':') {
            for (line += name_bytes + 1; *line == ' '; line++) {}
            return line;
        }
    return NULL;
}

/* Joins the chunks in place. Bytes of the joined body, -1 while it is not whole; *used: as it came. */
static long join_chunks(char *body, size_t bytes, size_t *used) {
    size_t from = 0, to = 0;
    static char joined[1 << 20];
    for (;;) {
        char *line_end = memmem(body + from, bytes - from, "\r\n", 2);
        if (!line_end) return -1;
        size_t size = strtoul(body + from, NULL, 16), start = line_end + 2 - body;
        if (start + size + 2 > bytes || to + size > sizeof joined) return -1;
        if (!size) break;
        memcpy(joined + to, body + start, size);
        to += size;
        from = start + size + 2;
        if (from >= bytes) return -1;
    }
    *used = from + 5; /* 0 CR LF CR LF: nobody here sends trailers */
    if (*used > bytes) return -1;
    memcpy(body, joined, to);
    return (long)to;
}

/* Where the body begins and how long it is; 0 while the message is not whole. */
static int whole_message(char *message, size_t bytes, char **body, size_t *body_bytes, size_t *used) {
    char *end = memmem(message, bytes, "\r\n\r\n", 4);
    if (!end) return 0;
    size_t head_bytes = end + 2 - message, rest = bytes - head_bytes - 2;
    *body = end + 4;
    const char *length = header(message, head_bytes, "content-length");
    if (length) {
        *body_bytes = strtoul(length, NULL, 10);
        *used = head_bytes + 2 + *body_bytes;
        return rest >= *body_bytes;
    }
    const char *coding = header(message, head_bytes, "transfer-encoding");
    size_t chunked_bytes = 0;
    long joined = coding && !strncasecmp(coding, "chunked", 7) ? join_chunks(*body, rest, &chunked_bytes) : 0;
    if (joined < 0) return 0;
    *body_bytes = joined;
    *used = head_bytes + 2 + chunked_bytes;
    return 1;
}
#endif
