import type grpc from '@grpc/grpc-js';

export const TOKEN_METADATA = 'spillway-token';

/** Chunks are some 256 KiB, digests up to a megabyte. */
export const wholeChannel: grpc.ChannelOptions = {
  'grpc.max_receive_message_length': 8 * 1024 * 1024,
  'grpc.max_send_message_length': 8 * 1024 * 1024,
  'grpc-node.flow_control_window': 4 * 1024 * 1024,
};
