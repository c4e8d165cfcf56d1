/* objects.c - lives, calls, the room for answers and copies of death records: made, shared by references, freed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "manager.h"

/* ---- room for answers ---- */

/* One block is kept for the next large answer: fresh memory from the kernel costs more than copying into it. */
struct block {
    size_t capacity;
    char bytes[];
};

#define BLOCK_MIN (64u * 1024)
#define BLOCK_MAX (4u * 1024 * 1024)

static _Atomic(struct block *) spare_block;

struct block *block_new(size_t length)
{
    struct block *block = length < BLOCK_MIN ? NULL : atomic_exchange(&spare_block, NULL);
    if (block != NULL && block->capacity >= length)
        return block;
    free(block);
    block = malloc(sizeof *block + length);
    if (block != NULL)
        block->capacity = length;
    return block;
}

char *block_bytes(struct block *block)
{
    return block->bytes;
}

static void block_free(struct block *block)
{
    if (block != NULL && block->capacity >= BLOCK_MIN && block->capacity <= BLOCK_MAX)
        block = atomic_exchange(&spare_block, block);
    free(block);
}

/* ---- lives and calls as objects ---- */

static atomic_uint_fast64_t serials;

struct life *life_new(struct manager *manager, const char *name, size_t log_max)
{
    struct life *life = calloc(1, sizeof *life);
    if (life == NULL)
        return NULL;
    life->manager = manager;
    life->serial = atomic_fetch_add(&serials, 1) + 1;
    life->references = 1;
    snprintf(life->name, sizeof life->name, "%s", name);
    log_init(&life->log, log_max);
    pthread_mutex_init(&life->lock, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&life->died, &monotonic);
    pthread_condattr_destroy(&monotonic);
    manager_list(manager, life);
    return life;
}

struct life *life_ref(struct life *life)
{
    atomic_fetch_add(&life->references, 1);
    return life;
}

void life_unref(struct life *life)
{
    if (life == NULL || atomic_fetch_sub(&life->references, 1) != 1)
        return;
    manager_unlist(life->manager, life);
    bioxen_detach(life->session);
    log_fini(&life->log);
    free(life->record);
    pthread_cond_destroy(&life->died);
    pthread_mutex_destroy(&life->lock);
    free(life);
}

struct call *call_new(struct life *life)
{
    struct call *call = calloc(1, sizeof *call);
    if (call == NULL)
        return NULL;
    call->references = 1;
    call->life = life_ref(life);
    log_init(&call->output, CALL_OUTPUT_MAX);
    sem_init(&call->wake, 0, 0);
    return call;
}

struct call *call_ref(struct call *call)
{
    atomic_fetch_add(&call->references, 1);
    return call;
}

void call_unref(struct call *call)
{
    if (call == NULL || atomic_fetch_sub(&call->references, 1) != 1)
        return;
    life_unref(call->life);
    log_fini(&call->output);
    block_free(call->block);
    sem_destroy(&call->wake);
    free(call);
}

/* ---- records ---- */

static char *place_string(char *to, const char *from, size_t length)
{
    memcpy(to, from, length);
    to[length] = '\0';
    return to + length + 1;
}

/* In one block. NULL: no memory, and then nobody learns how the VM died. */
struct bioxen_record *copy_record(const struct bioxen_record *from)
{
    const char *texts[2 + BIOXEN_LIMIT_COUNT] = {from->name, from->syscall};
    size_t total = sizeof *from + from->error.length + from->traceback.length + 2;
    for (size_t i = 0; i < BIOXEN_LIMIT_COUNT; i++)
        texts[2 + i] = from->limits[i].enforced_by;
    for (size_t i = 0; i < 2 + BIOXEN_LIMIT_COUNT; i++)
        total += texts[i] == NULL ? 0 : strlen(texts[i]) + 1;
    struct bioxen_record *record = malloc(total);
    if (record == NULL)
        return NULL;
    *record = *from;
    const char **places[2 + BIOXEN_LIMIT_COUNT] = {&record->name, &record->syscall};
    for (size_t i = 0; i < BIOXEN_LIMIT_COUNT; i++)
        places[2 + i] = &record->limits[i].enforced_by;
    char *to = (char *)(record + 1);
    struct bioxen_string *strings[] = {&record->error, &record->traceback};
    for (size_t i = 0; i < 2; i++) {
        const char *bytes = strings[i]->bytes;
        strings[i]->bytes = bytes == NULL ? NULL : to;
        to = bytes == NULL ? to : place_string(to, bytes, strings[i]->length);
    }
    for (size_t i = 0; i < 2 + BIOXEN_LIMIT_COUNT; i++) {
        *places[i] = texts[i] == NULL ? NULL : to;
        to = texts[i] == NULL ? to : place_string(to, texts[i], strlen(texts[i]));
    }
    return record;
}
