/* Text to ids, exactly as the bundle's vectorizer gives them in Python. */
#ifndef GATELET_VECTORIZER_H
#define GATELET_VECTORIZER_H

#include "common.h"

enum {
    GATELET_LOWER = 1, /* as Python's str.lower, by the tables below */
    GATELET_LOWER_ASCII = 2,
    GATELET_CHARACTERS = 4, /* every character is a token */
    GATELET_WHOLE = 8,      /* the text is one token */
    GATELET_PAD_IN_FRONT = 16,
    GATELET_CUT_IN_FRONT = 32
};

/* Characters first, first + step, ... up to last, each `delta` away from its lower case. */
struct gatelet_case {
    int32_t first, last, step, delta;
};

struct gatelet_range {
    int32_t first, last;
};

struct gatelet_vectorizer {
    int32_t flags, maxlen, pad_id;
    int32_t unknown_id; /* negative: unknown words are dropped */
    /* characters, sorted: those replaced by the separator, and those removed */
    const int32_t *replaced, *removed;
    int32_t replaced_count, removed_count;
    const uint8_t *separator; /* UTF-8 */
    int32_t separator_bytes;
    /* of str.lower: what has one lower-case character, and the context of the final sigma */
    const struct gatelet_case *cases;
    const struct gatelet_range *cased, *ignorable;
    int32_t cases_count, cased_count, ignorable_count;
    /* words in the order of their index; slots[hash & mask], then the next ones, hold index + 1 */
    const uint8_t *words;
    const uint16_t *lengths;
    const uint32_t *starts; /* of every 16th word */
    const int32_t *ids;
    const uint32_t *slots;
    uint32_t mask;
    int32_t longest; /* bytes of the longest word */
};

/* Gives exactly maxlen ids. The bytes need not be UTF-8: what is not is read as U+FFFD, as Python's
 * bytes.decode("utf-8", "replace") does. `token` has longest + separator_bytes + 4 bytes.
 *
 * Returns the number of real ids, or -1 for a NULL, and for ids that are not aligned. */
GATELET_KERNEL int32_t gatelet_ids_of_text(const struct gatelet_vectorizer *v, const char *utf8,
                                           size_t bytes, uint8_t *token, int32_t *ids);

#endif
