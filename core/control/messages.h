/* core/control/messages.h: MESSAGE_IDs of state changes, explained in etc/paddock.catalog. */
#pragma once

#define MESSAGE_REVISION_READY  "5f1c0a4e7b6d4a0c9a1d3c6f8e2b7401"
#define MESSAGE_REPLICA_FAILED  "5f1c0a4e7b6d4a0c9a1d3c6f8e2b7402"
#define MESSAGE_REPLICA_STOPPED "5f1c0a4e7b6d4a0c9a1d3c6f8e2b7403"
#define MESSAGE_SERVICE_REFUSED "5f1c0a4e7b6d4a0c9a1d3c6f8e2b7404"
#define MESSAGE_RELOADED        "5f1c0a4e7b6d4a0c9a1d3c6f8e2b7405"
#define MESSAGE_RELOAD_REFUSED  "5f1c0a4e7b6d4a0c9a1d3c6f8e2b7406"
