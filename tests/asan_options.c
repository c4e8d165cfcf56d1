/*
 * asan_options.c - settings that bioxend and bioxen-jailer carry in the sanitizer build.
 *
 * Both give up what the leak checker needs (it attaches to its own process by ptrace), so it is off there;
 * their modules are checked for leaks in the unit tests.
 */
const char *__asan_default_options(void);

const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}
