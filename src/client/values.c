/* values.c - the values of bioxen.h are those of the wire (common/values.h), under public names. */
#include <stdlib.h>

#include "bioxen.h"
#include "common/values.h"

_Static_assert(BIOXEN_NIL == (int)BX_VALUE_NIL && BIOXEN_BOOLEAN == (int)BX_VALUE_BOOLEAN &&
                   BIOXEN_INTEGER == (int)BX_VALUE_INTEGER && BIOXEN_NUMBER == (int)BX_VALUE_NUMBER &&
                   BIOXEN_STRING == (int)BX_VALUE_STRING && BIOXEN_TABLE == (int)BX_VALUE_TABLE &&
                   BIOXEN_LIST == (int)BX_VALUE_LIST && BIOXEN_MAP == (int)BX_VALUE_MAP,
               "public values are the wire's");

struct bioxen_values {
    struct bx_values values;
};

bioxen_values *bioxen_values_new(void)
{
    bioxen_values *values = malloc(sizeof *values);
    if (values != NULL)
        bx_values_init(&values->values, BIOXEN_VALUES_MAX, NULL, NULL);
    return values;
}

void bioxen_values_free(bioxen_values *values)
{
    if (values == NULL)
        return;
    bx_values_fini(&values->values);
    free(values);
}

void bioxen_values_clear(bioxen_values *values)
{
    bx_values_clear(&values->values);
}

int bioxen_values_bytes(const bioxen_values *values, struct bioxen_string *out)
{
    if (values->values.error == 0)
        *out = (struct bioxen_string){values->values.bytes, values->values.length};
    return values->values.error;
}

void bioxen_put_list(bioxen_values *values, uint32_t count)
{
    bx_values_list(&values->values, count);
}

void bioxen_put_map(bioxen_values *values, uint32_t count)
{
    bx_values_map(&values->values, count);
}

void bioxen_put_nil(bioxen_values *values)
{
    bx_values_nil(&values->values);
}

void bioxen_put_boolean(bioxen_values *values, int value)
{
    bx_values_boolean(&values->values, value);
}

void bioxen_put_integer(bioxen_values *values, int64_t value)
{
    bx_values_integer(&values->values, value);
}

void bioxen_put_number(bioxen_values *values, double value)
{
    bx_values_number(&values->values, value);
}

void bioxen_put_string(bioxen_values *values, const char *bytes, size_t length)
{
    bx_values_string(&values->values, bytes, length);
}

void bioxen_put_table(bioxen_values *values, uint32_t number)
{
    bx_values_table(&values->values, number);
}

const char *bioxen_read(const char *at, struct bioxen_value *out)
{
    struct bx_value value;
    bx_values_read(&at, &value);
    *out = (struct bioxen_value){
        .type = (enum bioxen_type)value.type,
        .integer = value.integer,
        .number = value.number,
        .string = {value.bytes, value.length},
    };
    return at;
}
