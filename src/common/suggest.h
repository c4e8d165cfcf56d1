/*
 * suggest.h - "did you mean": finds the near match of a mistyped word among known ones.
 */
#ifndef BX_COMMON_SUGGEST_H
#define BX_COMMON_SUGGEST_H

#include <stddef.h>

struct suggestion {
    const char *word; /* what was typed */
    size_t length;
    const char *best;  /* NULL while nothing is near */
    unsigned distance; /* of `best` */
};

void suggest_init(struct suggestion *suggestion, const char *word, size_t length);

/*
 * Offers one known word. Near is: `word` begins it, or about a third of its letters are wrong, missing,
 * swapped or too many.
 */
void suggest_offer(struct suggestion *suggestion, const char *candidate);

#endif
