// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Names every shared type, for its BTF alone: the TypeScript codecs are generated from this object. Never loaded. */
#include "abi_types.h"
#include "abi_capture.h"
#include "abi_config.h"
#include "abi_events.h"
#include "abi_reasons.h"
#include "abi_decap.h"

struct vip_key abi_vip_key;
struct vip_value abi_vip_value;
struct service abi_service;
struct pool abi_pool;
struct maglev_table abi_maglev_table;
struct turn abi_turn;
struct load abi_load;
struct backend abi_backend;
struct quic_config abi_quic_config;
struct quic_routing abi_quic_routing;
struct quic_server_key abi_quic_server_key;
struct quic_server abi_quic_server;
struct aes_tables abi_aes_tables;
struct egress abi_egress;
struct access_key abi_access_key;
struct limit abi_limit;
struct refusals abi_refusals;
struct session_slot abi_session_slot;
struct session_bucket abi_session_bucket;
struct session_detail abi_session_detail;
struct session_log abi_session_log;
struct settings abi_settings;
struct vip_filter abi_vip_filter;
struct traffic abi_traffic;
struct lb_counters abi_lb_counters;
struct lb_config abi_lb_config;
struct clock_reading abi_clock_reading;
struct drop_event abi_drop_event;
struct early_fragment_event abi_early_fragment_event;
enum service_flags abi_service_flags;
enum session_state abi_session_state;
enum schedule abi_schedule;
enum limit_flags abi_limit_flags;
enum limit_over abi_limit_over;
enum pool_flags abi_pool_flags;
enum backend_flags abi_backend_flags;
enum forwarding abi_forwarding;
enum egress_flags abi_egress_flags;
enum reason abi_reason;
enum table_event abi_table_event;
enum event_kind abi_event_kind;
struct capture_filter abi_capture_filter;
struct captured_packet abi_captured_packet;
struct capture_state abi_capture_state;
struct decap_config abi_decap_config;
struct decap_prefix abi_decap_prefix;
struct decap_counters abi_decap_counters;
struct decap_vip abi_decap_vip;
struct decap_filter abi_decap_filter;
struct decap_slot abi_decap_slot;
struct decap_usage abi_decap_usage;
struct decap_port_key abi_decap_port_key;
struct decap_port abi_decap_port;
struct decap_datagram abi_decap_datagram;
enum decap_reason abi_decap_reason;
enum decap_event abi_decap_event;
enum decap_clamp abi_decap_clamp;
enum decap_vip_flags abi_decap_vip_flags;

_Static_assert(sizeof(struct vip_key) == 20, "vip_key");
_Static_assert(sizeof(struct service) == 64, "service: one cache line");
_Static_assert(sizeof(struct pool) == 40, "pool");
_Static_assert(sizeof(struct turn) == 64, "turn: one cache line");
_Static_assert(sizeof(struct backend) == 64, "backend: one cache line");
_Static_assert(sizeof(struct quic_config) == 180, "quic_config");
_Static_assert(sizeof(struct quic_routing) == 1448, "quic_routing");
_Static_assert(sizeof(struct quic_server_key) == 20, "quic_server_key");
_Static_assert(sizeof(struct egress) == 64, "egress: one cache line");
_Static_assert(sizeof(struct access_key) == 24, "access_key");
_Static_assert(sizeof(struct limit) == 128, "limit: two cache lines");
_Static_assert(sizeof(struct session_slot) == 16, "session_slot");
_Static_assert(sizeof(struct session_bucket) == 64, "session_bucket: one cache line");
_Static_assert(sizeof(struct session_detail) == 32, "session_detail");
_Static_assert(sizeof(struct session_log) == 131200, "session_log");
_Static_assert(sizeof(struct maglev_table) == 131080, "maglev_table");
_Static_assert(sizeof(struct decap_port) == 28, "decap_port");
_Static_assert(sizeof(struct decap_datagram) == 40, "decap_datagram");
_Static_assert(sizeof(struct traffic) == 32, "traffic");
