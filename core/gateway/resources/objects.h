/* core/gateway/resources/objects.h: the kinds that are served. */
#pragma once

enum resource_kind { RESOURCE_SERVICE, RESOURCE_POD, RESOURCE_NAMESPACE, RESOURCE_EVENT };
