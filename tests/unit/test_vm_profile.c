/*
 * test_vm_profile.c - what a script finds in each profile, and what it does not: the exact list of names,
 * text chunks only, the closed metatable of strings, require, package without native code.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "vm_child.h"

#include <cmocka.h>

/* Runs it; it must end well. Its output is in the result. */
static struct child_result *good(struct child_input input)
{
    struct child_result *r = child_run(&input);
    if (!r->done || r->last.a != LW_OK)
        fail_msg("%s\n%s\n%s%s", input.text, r->message, r->traceback, r->err);
    return r;
}

static struct child_result *run(enum jw_profile profile, const char *text)
{
    return good((struct child_input){.profile = profile, .text = text});
}

static void both(const char *text)
{
    run(JW_RESTRICTED, text);
    run(JW_FULL, text);
}

static const char list_names[] = "local names = {}\n"
                                 "for k, v in pairs(_G) do\n"
                                 "  if k ~= 'arg' and k ~= '_G' and k ~= 'package' then names[#names + 1] = k end\n"
                                 "  if type(v) == 'table' and v ~= _G and k ~= 'arg' and k ~= 'package' then\n"
                                 "    for n in pairs(v) do names[#names + 1] = k .. '.' .. n end\n"
                                 "  end\n"
                                 "end\n"
                                 "table.sort(names) print(table.concat(names, ' '))";

/* Every name, so that one more is noticed. (math has the older functions where Lua was built with them.) */
static void test_names_of_restricted(void **state)
{
    (void)state;
    struct child_result *r = run(JW_RESTRICTED, list_names);
    static const char *const always =
        "_VERSION assert collectgarbage coroutine coroutine.close coroutine.create coroutine.isyieldable "
        "coroutine.resume "
        "coroutine.running coroutine.status coroutine.wrap coroutine.yield debug debug.traceback error "
        "getmetatable ipairs "
        "load math math.abs math.acos math.asin math.atan math.ceil math.cos math.deg math.exp math.floor "
        "math.fmod "
        "math.huge math.log math.max math.maxinteger math.min math.mininteger math.modf math.pi math.rad "
        "math.random "
        "math.randomseed math.sin math.sqrt math.tan math.tointeger math.type math.ult next os os.clock os.date "
        "os.difftime "
        "os.exit os.getenv os.time pairs pcall print rawequal rawget rawlen rawset require select setmetatable "
        "string "
        "string.byte string.char string.find string.format string.gmatch string.gsub string.len string.lower "
        "string.match "
        "string.pack string.packsize string.rep string.reverse string.sub string.unpack string.upper table "
        "table.concat "
        "table.insert table.move table.pack table.remove table.sort table.unpack tonumber tostring type utf8 "
        "utf8.char "
        "utf8.charpattern utf8.codepoint utf8.codes utf8.len utf8.offset warn xpcall\n";
    static const char *const older[] = {"math.atan2 ", "math.cosh ", "math.frexp ", "math.ldexp ",
                                        "math.log10 ", "math.pow ",  "math.sinh ",  "math.tanh "};
    for (size_t i = 0; i < sizeof older / sizeof *older; i++) {
        char *at = strstr(r->out, older[i]);
        if (at != NULL)
            memmove(at, at + strlen(older[i]), strlen(at + strlen(older[i])) + 1);
    }
    assert_string_equal(r->out, always);
}

/* No way leads to what was taken out: not by a loaded table, an environment, a metatable, or a function's
 * upvalues. */
static void test_nothing_else_is_reachable(void **state)
{
    (void)state;
    run(JW_RESTRICTED,
        "local banned = {io=1, package=1, dofile=1, loadfile=1, dump=1, popen=1, execute=1, getinfo=1, sethook=1,\n"
        "  getregistry=1, setmetatable_=1, getupvalue=1, loadlib=1, searchers=1, remove=false}\n"
        "local seen = {}\n"
        "local function walk(t, path)\n"
        "  if seen[t] then return end seen[t] = true\n"
        "  for k, v in next, t do\n"
        "    assert(not banned[k], path .. '.' .. tostring(k))\n"
        "    if type(v) == 'table' then walk(v, path .. '.' .. tostring(k)) end\n"
        "  end\n"
        "  local m = getmetatable(t) if type(m) == 'table' then walk(m, path .. '<meta>') end\n"
        "end\n"
        "walk(_G, '_G')\n"
        "for _, n in ipairs{'io', 'package', 'debug', 'os', '_G', 'string', 'table', 'math', 'coroutine', "
        "'utf8'} do\n"
        "  local ok, t = pcall(require, n)\n"
        "  if ok then walk(t, n) else assert(n == 'io' or n == 'package', n) end\n"
        "end\n"
        "assert(require 'string' == string and require '_G' == _G)\n"
        "for _, v in ipairs{true, 0, print, coroutine.create(print)} do assert(getmetatable(v) == nil) end");
}

static void test_string_metatable(void **state)
{
    (void)state;
    run(JW_RESTRICTED, "assert(getmetatable('') == false)\n"
                       "assert(not pcall(setmetatable, '', {}))\n"
                       "assert(('x'):rep(3) == 'xxx' and ('%d'):format(5) == '5' and #('abc') == 3)\n"
                       "assert('10' + 5 == 15 and '3' * '4' == 12)\n"
                       "function string.trim(s) return (s:match('^%s*(.-)%s*$')) end assert(('  a '):trim() == "
                       "'a')");
    run(JW_FULL, "assert(getmetatable('').__index == string)");
}

/* A dump of a function is refused wherever text is read, in whole, in pieces, with every mode. */
static void test_text_only(void **state)
{
    (void)state;
    both("local binary = string.dump and string.dump(function() return 1 end) or '\\27LuaT\\0\\x19\\x93'\n"
         "local function pieces(s) local i = 0 return function() i = i + 1 return i <= #s and s:sub(i, i) or "
         "nil end end\n"
         "for _, mode in ipairs{'b', 't', 'bt', '', 'x', 'tb'} do\n"
         "  assert(not load(binary, 'x', mode)) assert(not load(pieces(binary), 'x', mode))\n"
         "  assert(not load('\\27', 'x', mode))\n"
         "end\n"
         "local f, e = load(binary) assert(f == nil and e == \"attempt to load a binary chunk (mode is 't')\", e)\n"
         "assert(load(pieces(binary)) == nil)\n"
         "assert(not load('return 1', 'x', 'b'))\n"
         "assert(select(2, load('return 1', 'x', 'b')):find('attempt to load a text chunk', 1, true))\n"
         "assert(load('return 1', 'x', 't')() == 1 and load('return 1', 'x', 'bt')() == 1)");
    run(JW_FULL, "local name = os.tmpname() local f = io.open(name, 'wb')\n"
                 "f:write(string.dump(function() return 1 end)) f:close()\n"
                 "for _, mode in ipairs{'b', 't', 'bt'} do assert(not loadfile(name, mode)) end\n"
                 "assert(select(2, loadfile(name)) == \"attempt to load a binary chunk (mode is 't')\", "
                 "select(2, loadfile(name)))\n"
                 "assert(not pcall(dofile, name))\n"
                 "package.path = name assert(not pcall(require, 'x'))\n"
                 "package.path = '' package.cpath = name assert(not pcall(require, 'x')) os.remove(name)");
}

/* load in its other details, as Lua has them. */
static void test_load(void **state)
{
    (void)state;
    both("assert(load('return ...')(7) == 7)\n"
         "assert(load('x = 1; return x', 'n', 't', {})() == 1 and x == nil)\n"
         "assert(not pcall(load('return print', 'n', 't', nil)))\n"
         "assert(load('return 5', nil, nil)() == 5)\n"
         "assert(select(2, load('x =', '@file.lua')) == 'file.lua:1: unexpected symbol near <eof>')\n"
         "assert(select(2, load('x =', '=name')) == 'name:1: unexpected symbol near <eof>')\n"
         "assert(select(2, load('x =')) == '[string \"x =\"]:1: unexpected symbol near <eof>')\n"
         "local t, i = {'return ', '1', '+2', ''}, 0\n"
         "assert(load(function() i = i + 1 return t[i] end)() == 3)\n"
         "assert(select(2, load(function() return {} end)) == 'script.lua:10: reader function must return a "
         "string')\n"
         "assert(select(2, load(function() error('mine', 0) end)) == 'mine')\n"
         "assert(load(function() return nil end)() == nil)\n"
         "assert(select(2, pcall(load)):find('bad argument #1 to .load. %(function expected, got no value%)'))\n"
         "assert(load(load) == nil)\n"
         "local n = load(function() return nil end, 'x', 't', 7) assert(n)");
    run(JW_FULL, "for i = 1, 9 do assert(not debug.getupvalue(load, i)) end\n"
                 "local seen = {} local function look() seen[#seen + 1] = debug.getinfo(2, 'f').func end\n"
                 "load(function() look() end) assert(debug.getinfo(load, 'S').what == 'C')");
}

static const char *const modules[] = {
    "one",        "return {name = ..., file = select(2, ...)}",
    "dir.two",    "loads = (loads or 0) + 1",
    "three",      "return require('one').name .. 3",
    "broken",     "x = = 1",
    "fails",      "error('while loading', 0)",
    "loop_a",     "return require 'loop_b'",
    "loop_b",     "return require 'loop_a'",
    "no",         "return false",
    "binary",     "\x1bLua",
    "marked",     "\xEF\xBB\xBF#!shebang\nreturn 'marked'",
    "again",      "tries = (tries or 0) + 1 if tries < 3 then error('not yet') end return tries",
    NULL,
};

static void test_require_restricted(void **state)
{
    (void)state;
    struct child_input input = {.profile = JW_RESTRICTED, .modules = modules};
    input.text = "local one, file = require 'one'\n"
                 "assert(one.name == 'one' and one.file == 'one.lua' and file == 'one.lua')\n"
                 "assert(require 'one' == one)\n"
                 "assert(require 'dir.two' == true and require 'dir.two' == true and loads == 1)\n"
                 "assert(require 'three' == 'one3')\n"
                 "assert(require 'marked' == 'marked')\n"
                 "assert(require 'no' == false)";
    struct child_result *r = good(input);
    assert_int_equal(r->asked, 5);
    input.text = "local function e(...) local ok, m = pcall(require, ...) assert(not ok) return m end\n"
                 "print(e 'missing') print(e '../../etc/passwd') print(e '') print(e 'fails') print(e 'broken')\n"
                 "print(e 'binary') print(e '!odd') print(e()) print(e(('n'):rep(20000)))\n"
                 "assert(e 'loop_a':find(\"module 'loop_a' requires itself\", 1, true))\n"
                 "assert(e 'loop_a':find(\"module 'loop_a' requires itself\", 1, true))\n"
                 "e 'again' e 'again' assert(require 'again' == 3)\n"
                 "assert(e 'missing' == e 'missing')";
    r = good(input);
    assert_string_equal(r->out, "module 'missing' not found:\n\tno file 'missing.lua'\n"
                                "module '../../etc/passwd' not found:\n\tno file '../../etc/passwd.lua'\n"
                                "module '' not found:\n\tno file '.lua'\n"
                                "while loading\n"
                                "error loading module 'broken' from file 'broken.lua':\n"
                                "\tbroken.lua:1: unexpected symbol near '='\n"
                                "error loading module 'binary' from file 'binary.lua':\n"
                                "\tattempt to load a binary chunk (mode is 't')\n"
                                "module '!odd' not found:\n\tno file '!odd.lua'\n"
                                "bad argument #1 to 'require' (string expected, got no value)\n"
                                "the name of a module has 16384 bytes at most\n");
    input.text = "coroutine.wrap(function() print(pcall(require, 'one')) end)() for i = 1, 3000 do "
                 "pcall(require, 'fails') end";
    r = good(input);
    assert_int_equal(r->asked, 3001); /* no descriptor is lost on the way */
}

static void test_package(void **state)
{
    (void)state;
    run(JW_FULL, "assert(package.path == '/app/?.lua;/app/?/init.lua' and package.cpath == '')\n"
                 "assert(package.config == '/\\n;\\n?\\n!\\n-\\n')\n"
                 "local f, e, where = package.loadlib('libc.so.6', 'system')\n"
                 "assert(f == nil and where == 'absent' and package.loadlib('x', '*') == nil)\n"
                 "assert(package.loaded.string == string and package.loaded._G == _G and package.loaded.package "
                 "== package)\n"
                 "package.preload.p = function(...) return {...} end local p, d = require 'p'\n"
                 "assert(p[1] == 'p' and p[2] == ':preload:' and d == ':preload:')\n"
                 "local name = os.tmpname() local h = io.open(name, 'w') h:write('return {...}') h:close()\n"
                 "package.path = '/nonesuch/?.lua;' .. name .. '?' local m, file = require ''\n"
                 "assert(m[1] == '' and m[2] == name and file == name)\n"
                 "assert(package.searchpath('', '/x?;' .. name) == name)\n"
                 "local n, why = package.searchpath('a.b', '/x/?;/y/?.z') assert(not n)\n"
                 "assert(why == \"no file '/x/a/b'\\n\\tno file '/y/a/b.z'\", why) os.remove(name)\n"
                 "local ok, e = pcall(require, 'a.b')\n"
                 "assert(e:find(\"module 'a.b' not found:\\n\\tno field package.preload['a.b']\\n\\tno file "
                 "'/nonesuch/a/b.lua'\", "
                 "1, true), e)\n"
                 "package.path = 5 assert(pcall(require, 'q') == false)\n"
                 "package.path = nil ok, e = pcall(require, 'q') assert(e == \"'package.path' must be a "
                 "string\", e)\n"
                 "package.path = '' package.searchers[#package.searchers + 1] = function(n) return function() "
                 "return n end end\n"
                 "assert(require 'anything' == 'anything')\n"
                 "package.searchers = nil ok, e = pcall(require, 'r') assert(e == \"'package.searchers' must be "
                 "a table\")");
}

/* Its own functions, poisoned through debug, may fail but not crash. */
static void test_poisoned_upvalues(void **state)
{
    (void)state;
    run(JW_FULL, "debug.setupvalue(require, 1, nil) assert(not pcall(require, 'x'))\n"
                 "for _, s in ipairs(package.searchers) do debug.setupvalue(s, 1, 7) pcall(s, 'x') end\n"
                 "local r = debug.getregistry() r._LOADED = nil r._PRELOAD = nil pcall(require, 'x')\n"
                 "for k in pairs(r) do if type(k) == 'string' then r[k] = nil end end\n"
                 "pcall(require, 'y') pcall(io.open, '/') pcall(load, 'return 1') print(pcall(warn, 'x'))");
}

static void test_what_the_full_profile_has(void **state)
{
    (void)state;
    run(JW_FULL, "for _, n in ipairs{'io.open', 'io.lines', 'io.tmpfile', 'os.remove', 'os.rename', "
                 "'os.tmpname', 'os.setlocale',\n"
                 "  'debug.getinfo', 'debug.sethook', 'string.dump', 'package.loaded', 'dofile', 'loadfile', "
                 "'os.execute', 'io.popen'} do\n"
                 "  local t, f = n:match('^(%w+)%.(%w+)$') assert((t and _G[t][f]) or _G[n], n)\n"
                 "end\n"
                 "assert(loadfile('/nonesuch') == nil and select(2, loadfile('/nonesuch')):find('cannot open "
                 "/nonesuch', 1, true))\n"
                 "assert(select(2, loadfile('/')) == 'cannot read /: Is a directory', (select(2, loadfile('/'))))\n"
                 "local name = os.tmpname() local h = io.open(name, 'w') h:write('#!x\\nreturn a, ...') h:close()\n"
                 "assert(loadfile(name, 't', {a = 5})() == 5) a = 6 assert(dofile(name) == 6)\n"
                 "assert(coroutine.wrap(function() return dofile(name) end)() == 6)\n"
                 "h = io.open(name, 'w') h:write('coroutine.yield(9) return 10') h:close()\n"
                 "local co = coroutine.wrap(dofile) assert(co(name) == 9 and co() == 10) os.remove(name)");
}

/* Two VMs do not roll the same dice. */
static void test_random_seeds(void **state)
{
    (void)state;
    char first[100];
    snprintf(first, sizeof first, "%.90s", run(JW_RESTRICTED, "print(math.random(0), math.random(0))")->out);
    assert_string_not_equal(first, run(JW_RESTRICTED, "print(math.random(0), math.random(0))")->out);
    both("math.randomseed(42) local a = math.random(1000) math.randomseed(42) assert(a == math.random(1000))");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_of_restricted),
        cmocka_unit_test(test_nothing_else_is_reachable),
        cmocka_unit_test(test_string_metatable),
        cmocka_unit_test(test_text_only),
        cmocka_unit_test(test_load),
        cmocka_unit_test(test_require_restricted),
        cmocka_unit_test(test_package),
        cmocka_unit_test(test_poisoned_upvalues),
        cmocka_unit_test(test_what_the_full_profile_has),
        cmocka_unit_test(test_random_seeds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
