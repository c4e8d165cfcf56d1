/* node.h - a decoded value as the public view of it. */
#ifndef BX_CLIENT_NODE_H
#define BX_CLIENT_NODE_H

#include <msgpack.h>

#include "bioxen.h"

/* nil and NULL are nothing. */
const bioxen_node *node_of(const msgpack_object *object);

#endif
