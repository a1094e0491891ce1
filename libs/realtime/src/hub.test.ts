import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Logger } from '@nestjs/common';
import { Hub, type HubListener } from './hub.js';

describe('Hub', () => {
  it('a listener that throws reaches neither the caller nor the other listeners', () => {
    Logger.overrideLogger(false);
    const hub = new Hub();
    const fail = (): never => {
      throw new Error('broken');
    };
    const heard: string[] = [];
    const good: HubListener = {
      changed: () => heard.push('changed'),
      told: () => heard.push('told'),
      erased: () => heard.push('erased'),
    };
    hub.listen({ changed: fail, told: fail, erased: fail });
    hub.listen(good);
    const frame = { type: 'message', data: {}, timestamp: '' } as const;
    hub.changed({ clientId: 'c', roomId: 'r', seq: 1, frame });
    hub.told({ clientId: 'c', roomId: 'r', frame });
    hub.erased('c', 'r');
    assert.deepEqual(heard, ['changed', 'told', 'erased']);
  });
});
