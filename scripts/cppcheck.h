/* cppcheck.h - for cppcheck alone, which does not read the headers of libraries: what their macros stand for. */
#define HASH_ITER(hh, head, element, next) for ((element) = (head), (next) = NULL; (element); (element) = (next))
#define LLONG_MAX 9223372036854775807LL
