/*
 * doctor_cause.c - from the step that failed and its errno to the cause on this host, and to one command that mends it.
 *
 * It looks at the few switches that turn such things off in practice (sysctls, AppArmor, a container's filter,
 * modules), the most specific first. It reads only, and says so when it does not know.
 */
#include "jailer/doctor.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

/* ---- what is known of the host ---- */

static bool exists(const char *path)
{
    return access(path, F_OK) == 0;
}

static bool in_container(void)
{
    return exists("/.dockerenv") || exists("/run/.containerenv") || exists("/run/systemd/container");
}

/* The value of a line "Name:\tvalue" of /proc/self/status. */
static bool status_is(const char *line)
{
    char text[4096];
    return doctor_read("/proc/self/status", text, sizeof text) == 0 && strstr(text, line) != NULL;
}

/* A syscall filter that was put on whoever started us. */
static bool is_filtered(void)
{
    return status_is("\nSeccomp:\t2");
}

/* Our AppArmor profile, when there is one that confines. */
static bool apparmor_profile(char *out, size_t size)
{
    if (doctor_read("/proc/self/attr/apparmor/current", out, size) != 0 &&
        (!exists("/sys/module/apparmor") || doctor_read("/proc/self/attr/current", out, size) != 0))
        return false;
    return out[0] != '\0' && strncmp(out, "unconfined", 10) != 0;
}

/* In a chroot the mount table has no line for "/". */
static bool in_chroot(void)
{
    char line[1024];
    bool found = false;
    FILE *file = fopen("/proc/self/mountinfo", "re");
    if (file == NULL)
        return false;
    while (!found && fgets(line, sizeof line, file) != NULL) {
        char target[512];
        found = sscanf(line, "%*d %*d %*s %*s %511s", target) == 1 && strcmp(target, "/") == 0;
    }
    fclose(file);
    return !found;
}

/* Is this program of systemd's at work? "system" or "user/<uid>". */
static bool systemd_runs(const struct doctor_host *host, bool user)
{
    char path[64];
    snprintf(path, sizeof path, "/run/user/%u/systemd/private", host->uid);
    return exists(user ? path : "/run/systemd/system");
}

/* ---- one cause each; true when it is the one ---- */

static bool too_many_namespaces(const struct doctor_trial *trial, struct doctor_try *try)
{
    static const char *const kinds[] = {"user", "mnt", "pid", "net", "ipc", "uts", "cgroup"};
    char path[96];
    if (try->code != ENOSPC && try->code != EUSERS)
        return false;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        snprintf(path, sizeof path, "/proc/sys/user/max_%s_namespaces", kinds[i]);
        if (doctor_number(path) != 0)
            continue;
        doctor_cause(try, "user.max_%s_namespaces=0: the host allows none", kinds[i]);
        doctor_fix(try, "sudo sysctl -w user.max_%s_namespaces=15000", kinds[i]);
        return true;
    }
    const char *kind = trial->sysctl != NULL ? trial->sysctl : "user";
    snprintf(path, sizeof path, "/proc/sys/user/max_%s_namespaces", kind);
    doctor_cause(try, "all %ld namespaces of user.max_%s_namespaces are in use, or they are nested too deep",
                 doctor_number(path), kind);
    doctor_fix(try, "sudo sysctl -w user.max_%s_namespaces=100000", kind);
    return true;
}

static bool userns_switched_off(const struct doctor_host *host, struct doctor_try *try)
{
    if (host->privileged || try->code != EPERM ||
        doctor_number("/proc/sys/kernel/unprivileged_userns_clone") != 0)
        return false;
    doctor_cause(try, "kernel.unprivileged_userns_clone=0: ordinary users may not make user namespaces");
    doctor_fix(try, "sudo sysctl -w kernel.unprivileged_userns_clone=1");
    return true;
}

/* Ubuntu 23.10 and later: a user namespace without a profile that allows it has no capabilities. */
static bool userns_by_apparmor(const struct doctor_host *host, struct doctor_try *try)
{
    if (host->privileged || (try->code != EPERM && try->code != EACCES) ||
        doctor_number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") != 1)
        return false;
    doctor_cause(try, "kernel.apparmor_restrict_unprivileged_userns=1: AppArmor lets only programs with a "
                      "profile use user namespaces");
    doctor_fix(try,
               "printf 'abi <abi/4.0>,\\ninclude <tunables/global>\\n"
               "profile bioxen-jailer %.200s/bioxen-jailer flags=(unconfined) { userns, }\\n' | "
               "sudo tee /etc/apparmor.d/bioxen-jailer && "
               "sudo apparmor_parser -r /etc/apparmor.d/bioxen-jailer",
               host->program_dir);
    return true;
}

static bool refused_by_filter(struct doctor_try *try)
{
    if (!is_filtered() || (try->code != EPERM && try->code != ENOSYS && try->code != EACCES))
        return false;
    doctor_cause(try, "a seccomp filter on this process%s refuses it (%s)",
                 in_container() ? ", the container's," : "", strerror(try->code));
    doctor_fix(
        try, "docker run --security-opt seccomp=unconfined --security-opt apparmor=unconfined --security-opt "
             "systempaths=unconfined IMAGE");
    return true;
}

static bool refused_by_apparmor(struct doctor_try *try)
{
    char profile[160];
    if ((try->code != EPERM && try->code != EACCES) || !apparmor_profile(profile, sizeof profile))
        return false;
    doctor_cause(try, "the AppArmor profile \"%s\" of this process refuses it", profile);
    if (in_container())
        doctor_fix(try, "docker run --security-opt apparmor=unconfined IMAGE");
    else
        doctor_fix(try, "sudo aa-complain '%s'", profile);
    return true;
}

static bool refused_in_chroot(struct doctor_try *try)
{
    if ((try->code != EPERM && try->code != EINVAL) || !in_chroot()) /* EINVAL: / is no mount */
        return false;
    doctor_cause(try, "this is a chroot: the kernel makes no user namespaces there");
    doctor_fix(try, "sudo systemd-nspawn -D DIRECTORY bioxen doctor");
    return true;
}

/* Root without the capabilities of root: a container's. */
static bool root_in_name_only(const struct doctor_host *host, struct doctor_try *try)
{
    if (host->privileged || host->uid != 0 || (try->code != EPERM && try->code != EACCES))
        return false;
    doctor_cause(try, "this root has not root's capabilities, and may not make namespaces");
    doctor_fix(try, "docker run --cap-add SYS_ADMIN --security-opt seccomp=unconfined "
                    "--security-opt apparmor=unconfined IMAGE");
    return true;
}

/* Is the module in the modules of the running kernel? */
static bool module_installed(const char *release, const char *module)
{
    char path[160], line[512], name[64];
    bool found = false;
    snprintf(path, sizeof path, "/lib/modules/%.64s/modules.dep", release);
    snprintf(name, sizeof name, "/%s.ko", module);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return false;
    while (!found && fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, ":")] = '\0';
        found = strstr(line, name) != NULL;
    }
    fclose(file);
    return found;
}

static bool is_ubuntu(void)
{
    char text[2048];
    return doctor_read("/etc/os-release", text, sizeof text) == 0 && strstr(text, "ID=ubuntu") != NULL;
}

static bool without_module(const struct doctor_trial *trial, struct doctor_try *try)
{
    struct utsname kernel;
    if (trial->module == NULL || uname(&kernel) != 0 ||
        (try->code != EOPNOTSUPP && try->code != ENOENT && try->code != EPROTONOSUPPORT &&
         try->code != ENODEV && try->code != EINVAL))
        return false;
    if (module_installed(kernel.release, trial->module)) {
        doctor_cause(try, "the kernel module %s is not loaded", trial->module);
        doctor_fix(try, "sudo modprobe %s", trial->module);
    } else if (is_ubuntu()) {
        doctor_cause(try, "the kernel %.64s has no module %s", kernel.release, trial->module);
        doctor_fix(try, "sudo apt-get install linux-modules-extra-%.64s", kernel.release);
    } else {
        doctor_cause(try, "the kernel %.64s was built without %s", kernel.release, trial->module);
        doctor_fix(try, "sudo apt-get install linux-image-amd64 # and boot it");
    }
    return true;
}

static bool old_kernel(struct doctor_try *try)
{
    struct utsname kernel;
    if ((try->code != ENOSYS && try->code != EINVAL) || uname(&kernel) != 0)
        return false;
    doctor_cause(try, "%.100s: the kernel %.64s has it not (%s); 5.12 or later is needed", try->step,
                 kernel.release, strerror(try->code));
    doctor_fix(try, "sudo apt-get install linux-image-amd64 # and boot it");
    return true;
}

void doctor_diagnose(const struct doctor_host *host, const struct doctor_trial *trial, struct doctor_try *try)
{
    if (too_many_namespaces(trial, try) || userns_switched_off(host, try) || userns_by_apparmor(host, try) ||
        refused_by_filter(try) || refused_by_apparmor(try) || refused_in_chroot(try) ||
        root_in_name_only(host, try) || without_module(trial, try) || old_kernel(try))
        return;
    doctor_cause(try, "%.120s failed: %s", try->step, strerror(try->code));
}

/* ---- control groups ---- */

static bool cgroups_are_v2(void)
{
    return exists("/sys/fs/cgroup/cgroup.controllers");
}

/* Switched off when the kernel started: the last column of /proc/cgroups. */
static bool controller_disabled(const char *controller)
{
    char line[256], name[64];
    int enabled = 1;
    bool disabled = false;
    FILE *file = fopen("/proc/cgroups", "re");
    if (file == NULL)
        return false;
    while (!disabled && fgets(line, sizeof line, file) != NULL)
        disabled = sscanf(line, "%63s %*d %*d %d", name, &enabled) == 2 && strcmp(name, controller) == 0 &&
                   enabled == 0;
    fclose(file);
    return disabled;
}

bool doctor_no_cgroups(struct doctor_try *try)
{
    if (cgroups_are_v2() || exists("/sys/fs/cgroup/memory") || exists("/sys/fs/cgroup/cpu") ||
        exists("/sys/fs/cgroup/pids"))
        return false;
    doctor_cause(try, "no control groups are mounted at /sys/fs/cgroup");
    doctor_fix(try, "sudo mount -t cgroup2 cgroup2 /sys/fs/cgroup");
    return true;
}

static void blame_as_root(const char *controller, struct doctor_try *try)
{
    struct statvfs fs;
    if (statvfs("/sys/fs/cgroup", &fs) == 0 && (fs.f_flag & ST_RDONLY) != 0) {
        doctor_cause(try, "/sys/fs/cgroup is mounted read-only");
        doctor_fix(try, "sudo mount -o remount,rw /sys/fs/cgroup");
    } else if (cgroups_are_v2()) {
        doctor_cause(try,
                     "no cgroup above this process gives its children the %s controller, or can be made to: "
                     "they hold processes themselves",
                     controller);
        doctor_fix(try,
                   "sudo sh -c 'cd /sys/fs/cgroup && mkdir -p init && for p in $(cat cgroup.procs); "
                   "do echo $p >init/cgroup.procs; done; echo +memory +pids +cpu >cgroup.subtree_control'");
    } else {
        doctor_cause(try,
                     "no hierarchy with the %s controller is mounted in /sys/fs/cgroup, or it does not show "
                     "this process's cgroup",
                     controller);
        doctor_fix(try,
                   "sudo sh -c 'mkdir -p /sys/fs/cgroup/%s && mount -t cgroup -o %s %s /sys/fs/cgroup/%s'",
                   controller, controller, controller, controller);
    }
}

/* Version 2: our own group is the user's, and could give the controller on if it had no process in it. */
static bool busy_itself(const char *controller, struct doctor_try *try)
{
    char text[4096], path[4200], available[512];
    if (doctor_read("/proc/self/cgroup", text, sizeof text) != 0)
        return false;
    char *own = strncmp(text, "0::", 3) == 0 ? text : strstr(text, "\n0::");
    if (own == NULL)
        return false;
    own = strchr(own, '/');
    own[strcspn(own, "\n")] = '\0';
    snprintf(path, sizeof path, "/sys/fs/cgroup%s/cgroup.controllers", own);
    if (doctor_read(path, available, sizeof available) != 0 || strstr(available, controller) == NULL)
        return false;
    snprintf(path, sizeof path, "/sys/fs/cgroup%s/cgroup.subtree_control", own);
    if (access(path, W_OK) != 0)
        return false;
    doctor_cause(try, "the cgroup of this process is delegated to this user, but a group that holds processes gives "
                      "its children no controllers");
    doctor_fix(try, "d=/sys/fs/cgroup$(sed -n 's/^0:://p' /proc/self/cgroup); mkdir -p \"$d/shell\" && for p in "
                    "$(cat \"$d/cgroup.procs\"); do echo $p >\"$d/shell/cgroup.procs\" || :; done 2>/dev/null");
    return true;
}

/* The commands make a cgroup that belongs to the user, and put the shell in it that they are typed into. */
static void blame_as_user(const struct doctor_host *host, const char *controller, bool others,
                          struct doctor_try *try)
{
    if (cgroups_are_v2() && busy_itself(controller, try))
        return;
    if (others)
        doctor_cause(try, "no cgroup with the %s controller is delegated to this user", controller);
    else
        doctor_cause(try, "no cgroup is delegated to this user");
    if (!cgroups_are_v2())
        doctor_fix(try,
                   "sudo sh -c 'for c in memory pids cpu; do d=/sys/fs/cgroup/$c/user-%u; mkdir -p $d && "
                   "chown %u $d $d/tasks && echo $0 >$d/tasks; done' $$",
                   host->uid, host->uid);
    else if (others && systemd_runs(host, false))
        doctor_fix(try, "sudo sh -c 'd=/etc/systemd/system/user@.service.d; mkdir -p $d && "
                        "printf \"[Service]\\nDelegate=cpu memory pids\\n\" >$d/bioxen.conf && "
                        "systemctl daemon-reload' # and log in again");
    else if (systemd_runs(host, true))
        doctor_fix(try, "systemd-run --user --scope -p Delegate=yes -- bioxen run SCRIPT");
    else
        doctor_fix(
            try,
            "sudo sh -c 'cd /sys/fs/cgroup && d=user-%u && mkdir -p $d/shell && echo +memory +pids +cpu "
            ">cgroup.subtree_control && echo +memory +pids +cpu >$d/cgroup.subtree_control && "
            "chown %u $d $d/cgroup.procs $d/shell $d/shell/cgroup.procs && "
            "echo $0 >$d/shell/cgroup.procs' $$",
            host->uid, host->uid);
}

void doctor_blame_cgroup(const struct doctor_host *host, const char *controller, bool others,
                         struct doctor_try *try)
{
    if (doctor_no_cgroups(try))
        return;
    if (controller_disabled(controller)) {
        doctor_cause(try, "the %s controller was switched off when the kernel started", controller);
        doctor_fix(try,
                   "sudo sed -i 's/^GRUB_CMDLINE_LINUX=\"/&cgroup_enable=%s /' /etc/default/grub && "
                   "sudo update-grub # and reboot",
                   controller);
    } else if (host->privileged) {
        blame_as_root(controller, try);
    } else {
        blame_as_user(host, controller, others, try);
    }
}
