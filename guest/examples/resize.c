/* resize.c: an image in, the same image in another size out.
 *
 *      curl --data-binary @photo.ppm '.../resize?width=320' > small.ppm
 *
 * Images are binary PPM (P6) of 8 bits a colour, as `convert photo.jpg photo.ppm` or
 * `djpeg` make them. With only a width or a height the other follows. Each colour is a
 * mean of those around it, the nearer the more: bilinear where the image grows, and
 * where it shrinks over as many pixels as become one. What it is asked for in vain is
 * answered with 400 and why. */
#include "kvm_api.h"

#define SIDE_MAX 4096        /* pixels; so weights and their sums fit */
#define PIXELS_MAX (4 << 20) /* of the result */
#define COLOURS 3

struct image {
    size_t width, height;
    const uint8_t *pixels; /* rows from the top, COLOURS bytes a pixel */
};

__attribute__((noreturn)) static void refuse(const char *why)
{
    backend_response_str(400, "text/plain", why);
    abort(); /* not reached: a response ends the request */
}

/* --- The image that comes --- */

struct text {
    const uint8_t *at, *end;
};

static bool is_space(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Skips spaces, and comments from '#' to the end of their line. */
static void skip_space(struct text *t)
{
    for (bool comment = false; t->at < t->end; t->at++) {
        comment = comment ? *t->at != '\n' : *t->at == '#';
        if (!comment && !is_space(*t->at))
            return;
    }
}

/* A number of at most (max). */
static size_t number(struct text *t, size_t max, const char *what)
{
    size_t n = 0;
    skip_space(t);
    for (; t->at < t->end && *t->at >= '0' && *t->at <= '9' && n <= max; t->at++)
        n = 10 * n + (*t->at - '0');
    if (n < 1 || n > max)
        refuse(what);
    return n;
}

static struct image parse(const uint8_t *data, size_t len)
{
    struct text t = {data, data + len};
    if (len < 2 || memcmp(data, "P6", 2) != 0)
        refuse("expected a binary PPM, which begins with P6\n");
    t.at += 2;
    struct image image;
    image.width = number(&t, SIDE_MAX, "expected a PPM of 1 to 4096 pixels a side\n");
    image.height = number(&t, SIDE_MAX, "expected a PPM of 1 to 4096 pixels a side\n");
    if (number(&t, 255, "expected a PPM of 8 bits a colour\n") != 255)
        refuse("expected a PPM of 8 bits a colour\n");
    if (t.at == t.end || !is_space(*t.at++) ||
        (size_t)(t.end - t.at) != image.width * image.height * COLOURS)
        refuse("expected as many pixels as the PPM's header says\n");
    image.pixels = t.at;
    return image;
}

/* --- The size that is asked for --- */

/* The number that the query says for (key), 0 if it says none. */
static size_t asked(const char *url, const char *key)
{
    const size_t len = strlen(key);
    for (const char *at = strchr(url, '?'); at != NULL; at = strchr(at, '&')) {
        at++;
        if (strncmp(at, key, len) != 0 || at[len] != '=')
            continue;
        const char *digits = at + len + 1;
        const size_t count = strspn(digits, "0123456789");
        const unsigned long n = strtoul(digits, NULL, 10);
        if (count == 0 || (digits[count] != '&' && digits[count] != '\0') || n < 1 ||
            n > SIDE_MAX)
            refuse("expected ?width= or height= of 1 to 4096\n");
        return n;
    }
    return 0;
}

/* (side) in the same proportion as (to) to (from), at least 1. */
static size_t in_proportion(size_t side, size_t to, size_t from)
{
    const size_t found = (side * to + from / 2) / from;
    return found > 0 ? found : 1;
}

static struct image wanted(const char *url, const struct image *from)
{
    struct image to = {.width = asked(url, "width"), .height = asked(url, "height")};
    if (to.width == 0 && to.height == 0)
        refuse("expected ?width= or height= of 1 to 4096\n");
    if (to.width == 0)
        to.width = in_proportion(from->width, to.height, from->height);
    if (to.height == 0)
        to.height = in_proportion(from->height, to.width, from->width);
    if (to.width > PIXELS_MAX / to.height)
        refuse("expected a result of at most 4 million pixels\n");
    return to;
}

/* --- Scaling, a line of pixels at a time --- */

/* A line of (count) pixels, one each (step) bytes. */
struct line {
    size_t count, step;
};

static size_t away(size_t a, size_t b)
{
    return a < b ? b - a : a - b;
}

/* Pixel (x) of (to) pixels out of those at (src). Places are counted in units of which
 * a pixel that comes has 2 (to), and one that goes 2 (from.count): so all are exact. */
static void mix(const uint8_t *src, struct line from, uint8_t *dst, size_t to, size_t x)
{
    const size_t middle = (2 * x + 1) * from.count;
    const size_t reach = 2 * (to > from.count ? to : from.count);
    uint64_t sum[COLOURS] = {0}, all = 0;
    for (size_t i = middle > reach ? (middle - reach) / (2 * to) : 0; i < from.count;
         i++) {
        const size_t distance = away((2 * i + 1) * to, middle);
        if (distance >= reach && (2 * i + 1) * to > middle)
            break;
        const size_t weight = distance < reach ? reach - distance : 0;
        all += weight;
        for (int c = 0; c < COLOURS; c++)
            sum[c] += weight * src[i * from.step + c];
    }
    for (int c = 0; c < COLOURS; c++)
        dst[c] = (uint8_t)((sum[c] + all / 2) / all);
}

/* The rows of (from), each (width) pixels wide. The caller never frees: the machine is
 * put back. */
static struct image widen(struct image from, size_t width)
{
    uint8_t *pixels = malloc(width * from.height * COLOURS);
    const struct line row = {from.width, COLOURS};
    for (size_t y = 0; y < from.height && pixels != NULL; y++)
        for (size_t x = 0; x < width; x++)
            mix(from.pixels + y * from.width * COLOURS, row,
                pixels + (y * width + x) * COLOURS, width, x);
    return (struct image){width, from.height, pixels};
}

/* The same with its columns. (room) bytes in front are left for a header. */
static uint8_t *heighten(struct image from, size_t height, size_t room)
{
    uint8_t *made = malloc(room + from.width * height * COLOURS);
    const struct line column = {from.height, from.width * COLOURS};
    for (size_t y = 0; y < height && made != NULL; y++)
        for (size_t x = 0; x < from.width; x++)
            mix(from.pixels + x * COLOURS, column,
                made + room + (y * from.width + x) * COLOURS, height, y);
    return made;
}

static void on_post(const char *url, const char *arg, const char *ctype,
                    const uint8_t *data, size_t len)
{
    (void)arg;
    (void)ctype;
    const struct image from = parse(data, len), to = wanted(url, &from);
    char header[32];
    const size_t room = (size_t)snprintf(header, sizeof(header), "P6\n%zu %zu\n255\n",
                                         to.width, to.height);
    const struct image wide = widen(from, to.width);
    uint8_t *made = wide.pixels != NULL ? heighten(wide, to.height, room) : NULL;
    if (made == NULL)
        backend_response_str(503, "text/plain", "out of memory\n");
    memcpy(made, header, room);
    backend_response(200, "image/x-portable-pixmap", strlen("image/x-portable-pixmap"),
                     made, room + to.width * to.height * COLOURS);
}

static void on_get(const char *url, const char *arg)
{
    (void)url;
    (void)arg;
    backend_response_str(405, "text/plain", "POST a binary PPM\n");
}

int main(void)
{
    set_backend_get(on_get);
    set_backend_post(on_post);
    wait_for_requests();
}
