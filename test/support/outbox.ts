/** Outboxes of sessions without sockets: what was asked for leaves at once, like everything else. */
import type { JsonOutbox } from '../../server/gateways/json-session-options.js';
import type { YjsOutbox } from '../../server/gateways/yjs-session.js';

export function jsonOutbox(outbox: Omit<JsonOutbox, 'answer'>): JsonOutbox {
  return {
    ...outbox,
    answer(text, sent) {
      outbox.send(text);
      sent();
    },
  };
}

export function yjsOutbox(outbox: Omit<YjsOutbox, 'answer'>): YjsOutbox {
  return {
    ...outbox,
    answer(message, sent) {
      outbox.send(message);
      sent();
    },
  };
}
