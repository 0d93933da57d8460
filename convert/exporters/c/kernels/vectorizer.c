/* Text to ids: UTF-8, lower case, filters, separators, look-up, padding.
 *
 * Not the tables: Python's own Unicode data is written beside the vocabulary at conversion. One
 * pass over the bytes; a token is kept as UTF-8 while it can still be a word.
 */
#include "vectorizer.h"

enum { CAPITAL_SIGMA = 0x3a3, SMALL_SIGMA = 0x3c3, FINAL_SIGMA = 0x3c2, CAPITAL_I_DOT = 0x130 };

struct reader {
    const struct gatelet_vectorizer *v;
    const uint8_t *text;
    size_t bytes, at;
    size_t judged;                    /* so far, which only a capital sigma asks for: */
    int after_cased;                  /* the last character that is not ignorable is cased */
    uint32_t removed[4], replaced[4]; /* bits of the ASCII characters among v's */
    uint8_t *token;
    int64_t length, kept; /* bytes of the token, and those of them at its end that are in `token` */
    int32_t *ids;
    int32_t place; /* of the next id: a ring, without a division of 64 bits, which ARMv7 lacks */
    int64_t count;
};

/* Reads the character at *at; what is no UTF-8 is U+FFFD, a maximal subpart at a time (Unicode
 * 15.0, 3.9, table 3-8). */
static int32_t next_character(const uint8_t *text, size_t bytes, size_t *at) {
    const uint8_t lead = text[(*at)++];
    if (lead < 0x80) {
        return lead;
    }
    const int more = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : 1;
    if (lead < 0xc2 || lead > 0xf4) {
        return 0xfffd;
    }
    int32_t character = lead & (0x3f >> more);
    for (int i = 0; i < more; i++) {
        const uint8_t low = i == 0 ? (lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80) : 0x80;
        const uint8_t high = i == 0 ? (lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf) : 0xbf;
        if (*at >= bytes || text[*at] < low || text[*at] > high) {
            return 0xfffd;
        }
        character = character << 6 | (text[(*at)++] & 0x3f);
    }
    return character;
}

static int put_utf8(int32_t c, uint8_t *to) {
    if (c < 0x80) {
        to[0] = (uint8_t)c;
        return 1;
    }
    if (c < 0x800) {
        to[0] = (uint8_t)(0xc0 | c >> 6);
        to[1] = (uint8_t)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        to[0] = (uint8_t)(0xe0 | c >> 12);
        to[1] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
        to[2] = (uint8_t)(0x80 | (c & 0x3f));
        return 3;
    }
    to[0] = (uint8_t)(0xf0 | c >> 18);
    to[1] = (uint8_t)(0x80 | (c >> 12 & 0x3f));
    to[2] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
    to[3] = (uint8_t)(0x80 | (c & 0x3f));
    return 4;
}

static int is_among(const int32_t *sorted, int32_t count, int32_t c) {
    int32_t low = 0, high = count;
    while (low < high) {
        const int32_t middle = (low + high) / 2;
        if (sorted[middle] < c) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < count && sorted[low] == c;
}

static void mark_ascii(uint32_t *bits, const int32_t *sorted, int32_t count) {
    for (int32_t i = 0; i < count && sorted[i] < 0x80; i++) {
        bits[sorted[i] >> 5] |= 1u << (sorted[i] & 31);
    }
}

static int is_ascii_in(const uint32_t *bits, int32_t c) {
    return (int)(bits[c >> 5] >> (c & 31) & 1);
}

static int is_in(const struct gatelet_range *ranges, int32_t count, int32_t c) {
    int32_t low = 0, high = count;
    while (low < high) {
        const int32_t middle = (low + high) / 2;
        if (ranges[middle].last < c) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < count && ranges[low].first <= c;
}

static int32_t lower_of(const struct gatelet_vectorizer *v, int32_t c) {
    int32_t low = 0, high = v->cases_count;
    if (c < 0x80) {
        return c >= 'A' && c <= 'Z' ? c + 32 : c;
    }
    while (low < high) {
        const int32_t middle = (low + high) / 2;
        if (v->cases[middle].last < c) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    const struct gatelet_case *found = v->cases + low;
    const int is_in_it =
        low < v->cases_count && found->first <= c && (c - found->first) % found->step == 0;
    return is_in_it ? c + found->delta : c;
}

/* The lower case of a sigma at the end of a word differs (Unicode 15.0, 3.13, Final_Sigma). */
static int32_t lower_sigma(struct reader *r) {
    const size_t before = r->at - 2; /* where it begins */
    size_t at = r->at;
    while (r->judged < before) {
        const int32_t c = next_character(r->text, r->bytes, &r->judged);
        if (!is_in(r->v->ignorable, r->v->ignorable_count, c)) {
            r->after_cased = is_in(r->v->cased, r->v->cased_count, c);
        }
    }
    if (!r->after_cased) {
        return SMALL_SIGMA;
    }
    while (at < r->bytes) {
        const int32_t c = next_character(r->text, r->bytes, &at);
        if (!is_in(r->v->ignorable, r->v->ignorable_count, c)) {
            return is_in(r->v->cased, r->v->cased_count, c) ? SMALL_SIGMA : FINAL_SIGMA;
        }
    }
    return FINAL_SIGMA;
}

static uint32_t hash_of(const uint8_t *word, size_t bytes) {
    uint32_t hash = 2166136261u; /* FNV-1a */
    for (size_t i = 0; i < bytes; i++) {
        hash = (hash ^ word[i]) * 16777619u;
    }
    return hash ^ hash >> 15;
}

/* The id of a token whose bytes have all been kept; unknown_id where it is no word. */
static int32_t id_of(const struct gatelet_vectorizer *v, const uint8_t *word, int64_t bytes) {
    if (bytes > v->longest) {
        return v->unknown_id;
    }
    for (uint32_t place = hash_of(word, (size_t)bytes);; place++) {
        const uint32_t slot = v->slots[place & v->mask];
        if (slot == 0) {
            return v->unknown_id;
        }
        const uint32_t index = slot - 1;
        uint32_t start = v->starts[index / 16];
        for (uint32_t i = index / 16 * 16; i < index; i++) {
            start += v->lengths[i];
        }
        if (v->lengths[index] == bytes && memcmp(v->words + start, word, (size_t)bytes) == 0) {
            return v->ids[index];
        }
    }
}

static void put_id(struct reader *r, int32_t id) {
    const struct gatelet_vectorizer *v = r->v;
    if (id >= 0 && (r->count < v->maxlen || v->flags & GATELET_CUT_IN_FRONT)) {
        r->ids[r->place] = id; /* what is cut in front is overwritten */
        r->place = r->place + 1 < v->maxlen ? r->place + 1 : 0;
        r->count++;
    }
}

static void end_token(struct reader *r, int64_t bytes) {
    if (bytes > 0) {
        put_id(r, id_of(r->v, r->token, bytes));
    }
    r->length = 0;
    r->kept = 0;
}

/* Appends to the token, and ends it where it ends with the separator. */
static void put_character(struct reader *r, int32_t c) {
    const struct gatelet_vectorizer *v = r->v;
    const int64_t room = (int64_t)v->longest + v->separator_bytes + 4;
    uint8_t bytes[4];
    const int count = put_utf8(c, bytes);
    if (v->flags & GATELET_CHARACTERS) {
        put_id(r, id_of(v, bytes, count));
        return;
    }
    if (r->kept + count > room) { /* too long for a word: only its end matters now */
        const int64_t dropped = r->kept + count - room;
        memmove(r->token, r->token + dropped, (size_t)(r->kept - dropped));
        r->kept -= dropped;
    }
    memcpy(r->token + r->kept, bytes, (size_t)count);
    r->kept += count;
    r->length += count;
    const int64_t tail = r->kept - v->separator_bytes;
    if (v->separator_bytes > 0 && tail >= 0 &&
        r->token[r->kept - 1] == v->separator[v->separator_bytes - 1] &&
        memcmp(r->token + tail, v->separator, (size_t)v->separator_bytes) == 0) {
        end_token(r, r->length - v->separator_bytes);
    }
}

static void filter_character(struct reader *r, int32_t c) {
    const struct gatelet_vectorizer *v = r->v;
    const int ascii = c < 0x80;
    if (ascii ? is_ascii_in(r->removed, c) : is_among(v->removed, v->removed_count, c)) {
        return;
    }
    if (!(ascii ? is_ascii_in(r->replaced, c) : is_among(v->replaced, v->replaced_count, c))) {
        put_character(r, c);
        return;
    }
    for (size_t at = 0; at < (size_t)v->separator_bytes;) {
        put_character(r, next_character(v->separator, (size_t)v->separator_bytes, &at));
    }
}

static void lower_character(struct reader *r, int32_t c) {
    const struct gatelet_vectorizer *v = r->v;
    if (c == CAPITAL_SIGMA) {
        filter_character(r, lower_sigma(r));
    } else if (c == CAPITAL_I_DOT) { /* the only one whose lower case is two characters */
        filter_character(r, 'i');
        filter_character(r, 0x307);
    } else {
        filter_character(r, lower_of(v, c));
    }
}

static void reverse_ids(int32_t *ids, int32_t n) {
    for (int32_t i = 0; i < n / 2; i++) {
        const int32_t kept = ids[i];
        ids[i] = ids[n - 1 - i];
        ids[n - 1 - i] = kept;
    }
}

static void pad_ids(const struct gatelet_vectorizer *v, int32_t *ids, int32_t count) {
    const size_t bytes = (size_t)count * sizeof *ids;
    const int32_t missing = v->maxlen - count;
    int32_t *fill = ids + count;
    if (v->flags & GATELET_PAD_IN_FRONT) {
        memmove(ids + missing, ids, bytes);
        fill = ids;
    }
    for (int32_t i = 0; i < missing; i++) {
        fill[i] = v->pad_id;
    }
}

GATELET_KERNEL int32_t gatelet_ids_of_text(const struct gatelet_vectorizer *v, const char *utf8,
                                           size_t bytes, uint8_t *token, int32_t *ids) {
    struct reader r = {
        .v = v, .text = (const uint8_t *)utf8, .bytes = bytes, .token = token, .ids = ids};
    if ((utf8 == NULL && bytes > 0) || ids == NULL || (uintptr_t)ids % sizeof *ids != 0) {
        return -1;
    }
    mark_ascii(r.removed, v->removed, v->removed_count);
    mark_ascii(r.replaced, v->replaced, v->replaced_count);
    while (r.at < bytes) {
        int32_t c = next_character(r.text, bytes, &r.at);
        if (v->flags & GATELET_LOWER) {
            lower_character(&r, c);
        } else {
            c = v->flags & GATELET_LOWER_ASCII && c >= 'A' && c <= 'Z' ? c + 32 : c;
            filter_character(&r, c);
        }
    }
    if (v->flags & GATELET_WHOLE && r.length == 0) {
        put_id(&r, v->pad_id); /* Keras' mask token */
    }
    end_token(&r, r.length);
    if (r.count > v->maxlen) { /* turn the ring so that the oldest is first */
        const int32_t oldest = r.place;
        reverse_ids(ids, oldest);
        reverse_ids(ids + oldest, v->maxlen - oldest);
        reverse_ids(ids, v->maxlen);
        r.count = v->maxlen;
    }
    pad_ids(v, ids, (int32_t)r.count);
    return (int32_t)r.count;
}
