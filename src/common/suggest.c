/* suggest.c - near matches by the number of edits (wrong, missing, added and swapped letters). */
#include "suggest.h"

#include <string.h>

/* Longer words are nobody's typing mistake. Bounds the table below. */
#define WORD_MAX 31

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* Optimal string alignment distance of two words of at most WORD_MAX letters. */
static unsigned edits(const char *a, size_t a_length, const char *b, size_t b_length)
{
    unsigned char table[WORD_MAX + 1][WORD_MAX + 1];
    for (size_t i = 0; i <= a_length; i++)
        table[i][0] = (unsigned char)i;
    for (size_t j = 0; j <= b_length; j++)
        table[0][j] = (unsigned char)j;
    for (size_t i = 1; i <= a_length; i++)
        for (size_t j = 1; j <= b_length; j++) {
            unsigned best = least(table[i - 1][j], table[i][j - 1]) + 1u;
            best = least(best, table[i - 1][j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                best = least(best, table[i - 2][j - 2] + 1u);
            table[i][j] = (unsigned char)best;
        }
    return table[a_length][b_length];
}

void suggest_init(struct suggestion *suggestion, const char *word, size_t length)
{
    *suggestion = (struct suggestion){.word = word, .length = length, .distance = WORD_MAX + 1};
}

void suggest_offer(struct suggestion *suggestion, const char *candidate)
{
    size_t length = strlen(candidate);
    if (suggestion->length > WORD_MAX || length > WORD_MAX)
        return;
    unsigned distance = edits(suggestion->word, suggestion->length, candidate, length);
    if (suggestion->length >= 2 && strncmp(suggestion->word, candidate, suggestion->length) == 0)
        distance = 1; /* the beginning of a long word is nearer than its distance says */
    if (distance > (length + 2) / 3 || distance > suggestion->distance)
        return;
    if (distance < suggestion->distance || length < strlen(suggestion->best)) {
        suggestion->best = candidate;
        suggestion->distance = distance;
    }
}
