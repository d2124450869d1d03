/* core/gateway/openai/load_report.h: a service's load in a header of its answers, for balancers that go by it (ORCA).
 */
#pragma once

struct exchange;
struct service_view;

/* Adds endpoint-load-metrics where the client's endpoint-load-metrics-format asks for it, as TEXT or JSON; before the
 * answer begins. Other formats are none, and get a Warning. */
void load_report_add(struct exchange *exchange, const struct service_view *service);
