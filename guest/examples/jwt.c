/* jwt.c: checks JSON Web Tokens (RFC 7519) that are signed with HMAC-SHA256 (HS256).
 *
 *      Authorization: Bearer HEADER.CLAIMS.SIGNATURE
 *
 * A token that is signed with the secret, and not past its "exp", is answered with 200
 * and its claims; any other with 401 and why. The secret is the first of the program's
 * main_arguments. */
#include "kvm_api.h"
#include <strings.h>
#include <time.h>

#define TOKEN_MAX 8192 /* bytes of a token; longer ones are refused */
#define BLOCK 64       /* bytes of a block of SHA-256 */
#define DIGEST 32

static uint8_t secret[BLOCK]; /* as HMAC wants it: a block, zeros behind the key */

/* --- SHA-256, FIPS 180-4 --- */

struct sha {
    uint32_t state[8];
    uint8_t block[BLOCK];
    size_t used; /* bytes in block */
    uint64_t total;
};

static const uint32_t ROUNDS[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4,
    0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe,
    0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f,
    0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7,
    0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc,
    0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
    0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116,
    0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
    0xc67178f2,
};

static uint32_t turn(uint32_t x, int by)
{
    return x >> by | x << (32 - by);
}

static void sha_begin(struct sha *sha)
{
    static const struct sha start = {
        .state = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f,
                  0x9b05688c, 0x1f83d9ab, 0x5be0cd19},
    };
    *sha = start;
}

/* The 64 words of a block's schedule. */
static void sha_schedule(const uint8_t block[BLOCK], uint32_t w[64])
{
    for (int i = 0; i < 16; i++)
        w[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 |
               (uint32_t)block[4 * i + 2] << 8 | block[4 * i + 3];
    for (int i = 16; i < 64; i++) {
        const uint32_t a = w[i - 15], b = w[i - 2];
        w[i] = w[i - 16] + (turn(a, 7) ^ turn(a, 18) ^ a >> 3) + w[i - 7] +
               (turn(b, 17) ^ turn(b, 19) ^ b >> 10);
    }
}

static void sha_block(struct sha *sha)
{
    uint32_t w[64], s[8];
    sha_schedule(sha->block, w);
    memcpy(s, sha->state, sizeof(s));
    for (int i = 0; i < 64; i++) {
        const uint32_t e = s[4], a = s[0];
        const uint32_t one = s[7] + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) +
                             ((e & s[5]) ^ (~e & s[6])) + ROUNDS[i] + w[i];
        const uint32_t two = (turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) +
                             ((a & s[1]) ^ (a & s[2]) ^ (s[1] & s[2]));
        memmove(s + 1, s, 7 * sizeof(*s));
        s[4] += one;
        s[0] = one + two;
    }
    for (int i = 0; i < 8; i++)
        sha->state[i] += s[i];
    sha->used = 0;
}

static void sha_add(struct sha *sha, const void *data, size_t len)
{
    sha->total += len;
    for (size_t i = 0; i < len; i++) {
        sha->block[sha->used++] = ((const uint8_t *)data)[i];
        if (sha->used == BLOCK)
            sha_block(sha);
    }
}

static void sha_end(struct sha *sha, uint8_t digest[DIGEST])
{
    const uint64_t bits = sha->total * 8;
    sha_add(sha, "\x80", 1);
    while (sha->used != BLOCK - 8)
        sha_add(sha, "", 1);
    for (int i = 0; i < 8; i++)
        sha->block[BLOCK - 8 + i] = (uint8_t)(bits >> (56 - 8 * i));
    sha_block(sha);
    for (int i = 0; i < DIGEST; i++)
        digest[i] = (uint8_t)(sha->state[i / 4] >> (24 - 8 * (i % 4)));
}

/* One of the two hashes of an HMAC (RFC 2104): of the key with (pad), and the data. */
static void hmac_half(uint8_t pad, const void *data, size_t len, uint8_t out[DIGEST])
{
    struct sha sha;
    uint8_t key[BLOCK];
    for (int i = 0; i < BLOCK; i++)
        key[i] = secret[i] ^ pad;
    sha_begin(&sha);
    sha_add(&sha, key, BLOCK);
    sha_add(&sha, data, len);
    sha_end(&sha, out);
}

/* --- Tokens --- */

static int sextet(char c)
{
    static const char DIGITS[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const char *at = c != '\0' ? strchr(DIGITS, c) : NULL;
    return at != NULL ? (int)(at - DIGITS) : -1;
}

/* Decodes (len) bytes of base64url without padding into (out), which has room for
 * 3 bytes of every 4, and adds a NUL. Returns the length, or -1. */
static long decode(const char *text, size_t len, uint8_t *out)
{
    uint32_t bits = 0;
    long size = 0;
    for (size_t i = 0; i < len; i++) {
        const int six = sextet(text[i]);
        if (six < 0)
            return -1;
        bits = bits << 6 | (uint32_t)six;
        if (i % 4 != 0)
            out[size++] = (uint8_t)(bits >> (6 - 2 * (i % 4)));
    }
    out[size] = '\0';
    return len % 4 == 1 ? -1 : size;
}

/* Behind the JSON string that begins at (at), or NULL. */
static const char *behind_string(const char *at)
{
    for (at++; *at != '"'; at++) {
        if (*at == '\\' && at[1] != '\0')
            at++;
        if (*at == '\0')
            return NULL;
    }
    return at + 1;
}

/* The value of the member (key) of the JSON object (json), or NULL. Objects inside of
 * it are not looked at, nor what stands in strings. */
static const char *member(const char *json, const char *key)
{
    const size_t len = strlen(key);
    int depth = 0;
    for (const char *at = json; at != NULL && *at != '\0';) {
        if (*at != '"') {
            depth += (*at == '{' || *at == '[') - (*at == '}' || *at == ']');
            at++;
            continue;
        }
        const char *name = at + 1;
        at = behind_string(at);
        if (at == NULL || depth != 1 || (size_t)(at - 1 - name) != len)
            continue;
        const char *colon = at + strspn(at, " \t\r\n");
        if (*colon == ':' && memcmp(name, key, len) == 0)
            return colon + 1 + strspn(colon + 1, " \t\r\n");
    }
    return NULL;
}

/* Whether (signature) is that of the (len) bytes at (text). It takes the same time
 * wherever they differ. */
static bool is_signed(const char *text, size_t len, const uint8_t signature[DIGEST])
{
    uint8_t inner[DIGEST], digest[DIGEST], differ = 0;
    hmac_half(0x36, text, len, inner);
    hmac_half(0x5c, inner, DIGEST, digest);
    for (int i = 0; i < DIGEST; i++)
        differ |= digest[i] ^ signature[i];
    return differ == 0;
}

/* What is wrong with (token), or NULL; then (claims) is its JSON. The token decides
 * nothing before its signature is checked: not even how it is signed. */
static const char *check(const char *token, uint8_t claims[TOKEN_MAX])
{
    uint8_t decoded[TOKEN_MAX];
    const char *first = strchr(token, '.'),
               *second = first ? strchr(first + 1, '.') : 0;
    if (second == NULL || strlen(token) >= TOKEN_MAX)
        return "expected HEADER.CLAIMS.SIGNATURE";
    if (decode(second + 1, strlen(second + 1), decoded) != DIGEST ||
        !is_signed(token, (size_t)(second - token), decoded))
        return "the signature does not fit";
    if (decode(token, (size_t)(first - token), decoded) < 0 ||
        decode(first + 1, (size_t)(second - first - 1), claims) < 0)
        return "expected base64url";
    const char *algorithm = member((char *)decoded, "alg");
    if (algorithm == NULL || strncmp(algorithm, "\"HS256\"", 7) != 0)
        return "expected \"alg\": \"HS256\"";
    const char *expires = member((char *)claims, "exp");
    if (expires != NULL && strtod(expires, NULL) <= (double)time(NULL))
        return "the token has expired";
    return NULL;
}

static void on_get(const char *url, const char *arg)
{
    static const char START[] = "authorization: bearer ";
    static char field[TOKEN_MAX];
    static uint8_t claims[TOKEN_MAX];
    (void)url;
    (void)arg;
    const long len = http_find_str(REQUEST, "Authorization", field, sizeof(field) - 1);
    const char *wrong = "expected Authorization: Bearer TOKEN";
    if (len > 0 && strncasecmp(field, START, strlen(START)) == 0)
        wrong = check(field + strlen(START), claims);
    if (wrong == NULL)
        backend_response_str(200, "application/json", (char *)claims);
    http_set_str(RESPONSE, "WWW-Authenticate: Bearer");
    backend_response_str(401, "text/plain", wrong);
}

int main(int argc, char **argv)
{
    if (argc != 2 || strlen(argv[1]) > sizeof(secret)) {
        printf("expected main_arguments: a secret of at most %zu bytes\n",
               sizeof(secret));
        return 1;
    }
    memcpy(secret, argv[1], strlen(argv[1]));
    set_backend_get(on_get);
    wait_for_requests();
}
