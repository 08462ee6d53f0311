{
  'variables': { 'sanitize%': '' },
  'targets': [{
    'target_name': 'spillway',
    'sources': [
      'addon.cc', 'args.cc', 'courier.cc', 'error.cc', 'fd.cc', 'link.cc', 'map.cc', 'map_batch.cc',
      'migrate.cc', 'migrate_walk.cc', 'netlink.cc',
      'maglev.cc', 'notify.cc', 'object.cc', 'open.cc', 'probe.cc', 'probe_loop.cc', 'prober.cc', 'program.cc', 'ring.cc', 'sweep.cc',
      'sweep_walk.cc', 'sync_announcer.cc', 'sync_args.cc', 'sync_core.cc', 'sync_courier.cc',
      'sync_dictionary.cc', 'sync_engine.cc', 'sync_gaps.cc',
      'sync_log.cc', 'sync_mac.cc', 'sync_packer.cc', 'sync_receive.cc', 'sync_simulation.cc', 'sync_slots.cc', 'sync_socket.cc',
      'sync_store.cc', 'sync_table.cc', 'sync_walk.cc', 'sync_window.cc', 'sync_wire.cc', 'system.cc', 'tc.cc',
    ],
    'include_dirs': ["<!@(node -p \"require('node-addon-api').include_dir\")"],
    'defines': [
      'NAPI_VERSION=9', 'NAPI_DISABLE_CPP_EXCEPTIONS', 'NODE_ADDON_API_DISABLE_DEPRECATED',
      # A worker that is terminated refuses JS exceptions: without this, throwing one there ends the process.
      'NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS',
    ],
    'libraries': ['-lbpf', '-lsodium'],
    'cflags_cc!': ['-std=gnu++17'],
    'cflags_cc': [
      '-std=gnu++20', '-fno-exceptions', '-fno-rtti', '-fvisibility=hidden', '-Wall', '-Wextra',
      '-Wno-unused-parameter', '-Wno-missing-field-initializers',
    ],
    'conditions': [
      ['sanitize!=""', {
        'cflags_cc': ['-fsanitize=<(sanitize)', '-fno-omit-frame-pointer', '-g', '-O1'],
        'ldflags': ['-fsanitize=<(sanitize)'],
      }],
    ],
  }],
}
