/*
 * control.c - the manager, its requests and its events. One thread reads all events; who asked for something sleeps
 * until that thread has the answer, so that any thread may ask at any time.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "manager.h"

/* ---- the manager ---- */

struct manager *manager_open(open_function *open_library, const char *path, struct bioxen_error *err)
{
    struct manager *manager = calloc(1, sizeof *manager);
    if (manager == NULL) {
        *err = (struct bioxen_error){ENOMEM, "out of memory"};
        return NULL;
    }
    manager->stop_fd = eventfd(0, EFD_CLOEXEC);
    int rc = manager->stop_fd < 0 ? -errno : dispatcher_init(&manager->dispatcher);
    if (rc == 0 && open_library(&manager->library, path, err) == 0) {
        pthread_rwlock_init(&manager->use, NULL);
        pthread_mutex_init(&manager->requests, NULL);
        pthread_mutex_init(&manager->table, NULL);
        return manager;
    }
    if (rc == 0)
        dispatcher_fini(&manager->dispatcher);
    else
        *err = (struct bioxen_error){-rc, "the process has no more descriptors, or the host no more memory"};
    if (manager->stop_fd >= 0)
        close(manager->stop_fd);
    free(manager);
    return NULL;
}

bioxen_manager *manager_use(struct manager *manager)
{
    pthread_rwlock_rdlock(&manager->use);
    if (manager->library == NULL)
        pthread_rwlock_unlock(&manager->use);
    return manager->library;
}

void manager_unuse(struct manager *manager)
{
    pthread_rwlock_unlock(&manager->use);
}

void manager_close(struct manager *manager)
{
    pthread_rwlock_wrlock(&manager->use);
    bioxen_manager *library = manager->library;
    manager->library = NULL;
    pthread_rwlock_unlock(&manager->use);
    bioxen_close(library);
}

/*
 * The locks may be held by threads that this process does not have: none is taken. Sessions are not detached, since
 * their memory may be in the middle of a change; their descriptors are closed.
 */
void manager_forget(struct manager *manager)
{
    manager->forgotten = true;
    for (size_t i = 0; i < LIFE_BUCKETS; i++) {
        for (struct life *life = manager->lives[i]; life != NULL; life = life->next) {
            if (life->session != NULL)
                close(bioxen_session_fd(life->session));
            life->session = NULL;
        }
    }
    if (manager->library != NULL)
        bioxen_forget(manager->library);
    manager->library = NULL;
    close(manager->dispatcher.epoll_fd);
    close(manager->dispatcher.wake_fd);
    close(manager->stop_fd);
}

void manager_free(struct manager *manager)
{
    dispatcher_fini(&manager->dispatcher);
    close(manager->stop_fd);
    pthread_rwlock_destroy(&manager->use);
    pthread_mutex_destroy(&manager->requests);
    pthread_mutex_destroy(&manager->table);
    free(manager);
}

/* ---- the table of lives ---- */

static struct life **bucket(struct manager *manager, uint32_t vm)
{
    return &manager->lives[vm % LIFE_BUCKETS];
}

/* A new life has no number yet: it is listed under 0 and moved when it is created. */
void manager_list(struct manager *manager, struct life *life)
{
    pthread_mutex_lock(&manager->table);
    life->next = *bucket(manager, life->vm);
    *bucket(manager, life->vm) = life;
    pthread_mutex_unlock(&manager->table);
}

void manager_unlist(struct manager *manager, struct life *life)
{
    pthread_mutex_lock(&manager->table);
    struct life **at = bucket(manager, life->vm);
    while (*at != NULL && *at != life)
        at = &(*at)->next;
    if (*at != NULL)
        *at = life->next;
    pthread_mutex_unlock(&manager->table);
}

/* Not one whose last reference is gone: it is on its way out of the table. */
static bool try_ref(struct life *life)
{
    unsigned count = atomic_load(&life->references);
    while (count > 0 && !atomic_compare_exchange_weak(&life->references, &count, count + 1))
        ;
    return count > 0;
}

/* A number is used again after a death: the newest with it is first. */
struct life *manager_find(struct manager *manager, uint32_t vm)
{
    pthread_mutex_lock(&manager->table);
    struct life *life = *bucket(manager, vm);
    while (life != NULL && !(life->vm == vm && life->born && try_ref(life)))
        life = life->next;
    pthread_mutex_unlock(&manager->table);
    return life;
}

/* Several sessions with one of a topology have its number: the serial tells them apart. Its low half does. */
uint64_t manager_key(const struct life *life)
{
    return life->serial << 32 | life->vm;
}

struct life *manager_find_key(struct manager *manager, uint64_t key)
{
    pthread_mutex_lock(&manager->table);
    struct life *life = *bucket(manager, (uint32_t)key);
    while (life != NULL && !(manager_key(life) == key && try_ref(life)))
        life = life->next;
    pthread_mutex_unlock(&manager->table);
    return life;
}

/* One that is alive, whichever: for the end of all. */
static struct life *find_any(struct manager *manager)
{
    struct life *found = NULL;
    pthread_mutex_lock(&manager->table);
    for (size_t i = 0; i < LIFE_BUCKETS && found == NULL; i++)
        for (struct life *life = manager->lives[i]; life != NULL && found == NULL; life = life->next)
            if (life->born && !life->buried && try_ref(life))
                found = life;
    pthread_mutex_unlock(&manager->table);
    return found;
}

/* ---- asking ---- */

/* The orchestrator keeps less of what a VM prints. */
#define WAITER_LOG_MAX (1024u * 1024u)

static void waiter_unref(struct waiter *waiter)
{
    if (atomic_fetch_sub(&waiter->references, 1) != 1)
        return;
    life_unref(waiter->life);
    bioxen_values_free(waiter->value);
    log_fini(&waiter->log);
    sem_destroy(&waiter->wake);
    free(waiter);
}

static struct waiter *waiter_new(struct life *life)
{
    struct waiter *waiter = calloc(1, sizeof *waiter);
    if (waiter == NULL)
        return NULL;
    waiter->references = 1;
    waiter->life = life != NULL ? life_ref(life) : NULL;
    log_init(&waiter->log, WAITER_LOG_MAX);
    sem_init(&waiter->wake, 0, 0);
    return waiter;
}

/* The lock keeps the answer from being looked at before it is known who waits for it. */
static int start_locked(struct manager *manager, start_function *start, const void *what, uint32_t *request,
                        struct bioxen_error *err)
{
    bioxen_manager *library = manager_use(manager);
    if (library == NULL || manager->gone) {
        *err = library == NULL ? (struct bioxen_error){EPIPE, "the manager is closed"} : manager->gone_error;
        if (library != NULL)
            manager_unuse(manager);
        return -EPIPE;
    }
    int rc = start(library, what, request, err);
    manager_unuse(manager);
    return rc;
}

struct waiter *manager_ask(struct manager *manager, start_function *start, const void *what, struct life *life,
                           struct bioxen_error *err)
{
    struct waiter *waiter = waiter_new(life);
    if (waiter == NULL) {
        *err = (struct bioxen_error){ENOMEM, "out of memory"};
        return NULL;
    }
    pthread_mutex_lock(&manager->requests);
    int rc = start_locked(manager, start, what, &waiter->request, err);
    if (rc == 0) {
        atomic_fetch_add(&waiter->references, 1);
        waiter->next = manager->waiters;
        manager->waiters = waiter;
    }
    pthread_mutex_unlock(&manager->requests);
    if (rc == 0)
        return waiter;
    waiter_unref(waiter);
    return NULL;
}

static int start_create(bioxen_manager *library, const void *what, uint32_t *request, struct bioxen_error *err)
{
    return bioxen_create_start(library, what, request, err);
}

static int start_attach(bioxen_manager *library, const void *what, uint32_t *request, struct bioxen_error *err)
{
    return bioxen_attach_start(library, ((const struct life *)what)->vm, request, err);
}

static int start_stats(bioxen_manager *library, const void *what, uint32_t *request, struct bioxen_error *err)
{
    return bioxen_stats_start(library, ((const struct life *)what)->vm, request, err);
}

static int start_network(bioxen_manager *library, const void *what, uint32_t *request, struct bioxen_error *err)
{
    return bioxen_network_start(library, ((const struct life *)what)->vm, request, err);
}

struct waiter *manager_create(struct manager *manager, const struct bioxen_config *config, struct life *life,
                              struct bioxen_error *err)
{
    return manager_ask(manager, start_create, config, life, err);
}

struct waiter *manager_attach(struct manager *manager, struct life *life, struct bioxen_error *err)
{
    return manager_ask(manager, start_attach, life, life, err);
}

struct waiter *manager_stats(struct manager *manager, struct life *life, struct bioxen_error *err)
{
    return manager_ask(manager, start_stats, life, life, err);
}

struct waiter *manager_network(struct manager *manager, struct life *life, struct bioxen_error *err)
{
    return manager_ask(manager, start_network, life, life, err);
}

int manager_tell(struct manager *manager, start_function *start, const void *what, struct bioxen_error *err)
{
    uint32_t request;
    pthread_mutex_lock(&manager->requests);
    int rc = start_locked(manager, start, what, &request, err);
    pthread_mutex_unlock(&manager->requests);
    return rc;
}

int waiter_wait(struct waiter *waiter)
{
    return sem_wait(&waiter->wake) == 0 ? 0 : -errno;
}

/* The asker went away meanwhile: a VM that was made for him ends, and so does a session. */
static void undo(struct waiter *waiter)
{
    bioxen_detach(waiter->session);
    waiter->session = NULL;
    if (waiter->error.code == 0 && waiter->life != NULL && waiter->life->session == NULL)
        life_kill(waiter->life, 0);
}

void waiter_drop(struct manager *manager, struct waiter *waiter, bool wanted)
{
    pthread_mutex_lock(&manager->requests);
    waiter->unwanted = !wanted;
    if (waiter->done && !wanted)
        undo(waiter);
    pthread_mutex_unlock(&manager->requests);
    waiter_unref(waiter);
}

/* ---- answers ---- */

static struct waiter *take_waiter(struct manager *manager, uint32_t request)
{
    struct waiter **at = &manager->waiters;
    while (*at != NULL && (*at)->request != request)
        at = &(*at)->next;
    struct waiter *waiter = *at;
    if (waiter != NULL)
        *at = waiter->next;
    return waiter;
}

static void settle(struct waiter *waiter)
{
    waiter->done = true;
    if (waiter->unwanted)
        undo(waiter);
    sem_post(&waiter->wake);
    waiter_unref(waiter);
}

/* From here on the events with this number are its own. */
static void be_born(struct manager *manager, struct life *life, uint32_t vm)
{
    manager_unlist(manager, life);
    life->vm = vm;
    life->born = true;
    manager_list(manager, life);
}

static void take_value(struct waiter *waiter, const bioxen_node *node)
{
    waiter->value = node_values(node);
    if (waiter->value == NULL)
        waiter->error = (struct bioxen_error){ENOMEM, "out of memory"};
}

static void answer(struct manager *manager, const struct bioxen_event *event)
{
    pthread_mutex_lock(&manager->requests);
    struct waiter *waiter = take_waiter(manager, event->request);
    if (waiter == NULL) {
        bioxen_detach(event->type == BIOXEN_EVENT_ATTACHED ? event->session : NULL);
    } else {
        if (event->type == BIOXEN_EVENT_CREATED)
            be_born(manager, waiter->life, event->vm);
        else if (event->type == BIOXEN_EVENT_ATTACHED)
            waiter->session = event->session;
        else if (event->type == BIOXEN_EVENT_STATS)
            waiter->stats = event->stats;
        else if (event->type == BIOXEN_EVENT_NETWORKED)
            waiter->address = event->address;
        else if (event->type == BIOXEN_EVENT_ANSWER)
            take_value(waiter, event->node);
        else
            waiter->error = event->error;
        settle(waiter);
    }
    pthread_mutex_unlock(&manager->requests);
}

/* ---- events ---- */

static void take_output(struct manager *manager, const struct bioxen_event *event)
{
    struct life *life = manager_find(manager, event->vm);
    if (life == NULL)
        return;
    pthread_mutex_lock(&life->lock);
    log_add(&life->log, (uint32_t)event->stream, event->bytes.bytes, event->bytes.length);
    pthread_mutex_unlock(&life->lock);
    life_unref(life);
}

/* A piece of the log that somebody waits for. */
static void take_log(struct manager *manager, const struct bioxen_event *event)
{
    pthread_mutex_lock(&manager->requests);
    struct waiter *waiter = manager->waiters;
    while (waiter != NULL && waiter->request != event->request)
        waiter = waiter->next;
    if (waiter != NULL)
        log_add(&waiter->log, (uint32_t)event->stream, event->bytes.bytes, event->bytes.length);
    pthread_mutex_unlock(&manager->requests);
}

static void refuse_module(struct manager *manager, uint32_t vm)
{
    bioxen_manager *library = manager_use(manager);
    if (library == NULL)
        return;
    bioxen_answer_no_module(library, vm, "\n\tno directory to search (the VM was made without a script file)", NULL);
    manager_unuse(manager);
}

/* Whoever asked learns that there will be no answer. */
static void go(struct manager *manager, const struct bioxen_error *err)
{
    pthread_mutex_lock(&manager->requests);
    manager->gone = true;
    manager->gone_error = *err;
    while (manager->waiters != NULL) {
        struct waiter *waiter = take_waiter(manager, manager->waiters->request);
        waiter->error = *err;
        settle(waiter);
    }
    pthread_mutex_unlock(&manager->requests);
}

static bool is_stopped(struct manager *manager)
{
    struct pollfd ready[] = {{bioxen_fd(manager->library), POLLIN, 0}, {manager->stop_fd, POLLIN, 0}};
    while (poll(ready, 2, -1) < 0 && errno == EINTR)
        ;
    return ready[1].revents != 0;
}

/* Returns whether it is one for the caller. */
static bool serve(struct manager *manager, const struct bioxen_event *event)
{
    switch (event->type) {
    case BIOXEN_EVENT_OUTPUT:
        take_output(manager, event);
        return false;
    case BIOXEN_EVENT_NEED:
        refuse_module(manager, event->vm);
        return false;
    case BIOXEN_EVENT_LOG:
        take_log(manager, event);
        return false;
    case BIOXEN_EVENT_DEATH:
    case BIOXEN_EVENT_CHANGE:
        return true;
    default:
        answer(manager, event);
        return false;
    }
}

static enum control_end bury_next(struct manager *manager, struct life **life)
{
    *life = find_any(manager);
    if (*life == NULL)
        return CONTROL_STOPPED;
    (*life)->buried = true;
    return CONTROL_GONE;
}

void manager_bury(struct manager *manager)
{
    struct life *life;
    while (bury_next(manager, &life) == CONTROL_GONE) {
        life_die(life, NULL);
        life_unref(life);
    }
}

/* What the caller has to see to. CONTROL_STOPPED: nothing, after all. */
static enum control_end take_news(struct manager *manager, const struct bioxen_event *event, struct control_news *news)
{
    if (event->type == BIOXEN_EVENT_CHANGE) {
        news->value = node_values(event->node);
        return news->value != NULL ? CONTROL_CHANGE : CONTROL_STOPPED;
    }
    news->life = manager_find(manager, event->vm);
    if (news->life == NULL)
        return CONTROL_STOPPED;
    news->life->buried = true;
    news->record = event->record;
    return CONTROL_DEATH;
}

enum control_end control_run(struct manager *manager, struct control_news *news)
{
    struct bioxen_event event;
    struct bioxen_error err = {0};
    while (!manager->gone) {
        int rc = bioxen_next(manager->library, &event, 0, &err);
        if (rc == 0) {
            if (is_stopped(manager))
                return CONTROL_STOPPED;
        } else if (rc < 0 && rc != -EINTR) {
            go(manager, &err);
        } else if (rc > 0 && serve(manager, &event)) {
            enum control_end end = take_news(manager, &event, news);
            if (end != CONTROL_STOPPED)
                return end;
        }
    }
    return bury_next(manager, &news->life);
}

void control_stop(struct manager *manager)
{
    uint64_t one = 1;
    while (write(manager->stop_fd, &one, sizeof one) < 0 && errno == EINTR)
        ;
}
