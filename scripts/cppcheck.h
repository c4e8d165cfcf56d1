/* cppcheck.h - for cppcheck alone, which does not read the headers of libraries: what their macros stand for. */
#define HASH_ITER(hh, head, element, next) for ((element) = (head), (next) = NULL; (element); (element) = (next))
#define LLONG_MAX 9223372036854775807LL
#define DL_FOREACH(head, element) for ((element) = (head); (element); (element) = (element)->next)
#define DL_FOREACH_SAFE(head, element, after) \
    for ((element) = (head), (after) = NULL; (element); (element) = (after))
#define DL_FOREACH_SAFE2(head, element, after, next) \
    for ((element) = (head), (after) = NULL; (element); (element) = (after))
