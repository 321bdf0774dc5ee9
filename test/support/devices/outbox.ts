/** Outboxes of sessions without sockets: what was asked for leaves at once, like everything else. */
import type { JsonOutbox } from '../../../server/gateways/json/options.js';
import type { YjsOutbox } from '../../../server/gateways/yjs/session.js';

export function jsonOutbox(outbox: Omit<JsonOutbox, 'answer' | 'behind' | 'together'>): JsonOutbox {
  return {
    ...outbox,
    behind: (task) => task(),
    together: (work) => work(),
    answer(text, sent) {
      outbox.send(text);
      sent();
    },
  };
}

interface EachMessage {
  send(message: Uint8Array): void;
  close: YjsOutbox['close'];
}

export function yjsOutbox({ send, close }: EachMessage): YjsOutbox {
  const sendAll = (messages: readonly Uint8Array[]): void => {
    for (const message of messages) send(message);
  };
  return {
    close,
    send: sendAll,
    answer(messages, sent) {
      sendAll(messages);
      sent();
    },
  };
}
