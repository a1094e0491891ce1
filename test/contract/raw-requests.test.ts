import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { ERROR_STATUS } from '#libs/common';
import { aRoom, aTenant, aUser, startApi, type TestApi } from '../support/api.js';

describe('Requests as bytes', () => {
  let api: TestApi;
  before(async () => {
    api = await startApi();
  });
  after(() => api.stop());

  /** Everything that is answered until the connection ends, to one after the other on one connection. */
  const answerTo = (...requests: string[]): Promise<string> =>
    new Promise((resolve) => {
      let answer = '';
      const next = (): void => void socket.write(requests.shift() ?? '');
      const socket = connect(Number(new URL(api.url).port), '127.0.0.1', next);
      socket.setEncoding('utf8').on('data', (text: string) => {
        answer += text;
        if (text.endsWith('}')) next();
      });
      socket.on('error', () => undefined).on('close', () => resolve(answer));
    });

  for (const [what, bytes, code] of [
    ['no HTTP', 'GARBAGE\r\n\r\n', 'BAD_REQUEST'],
    ['headers without end', `GET / HTTP/1.1\r\nHost: x\r\nX-Long: ${'a'.repeat(65_536)}\r\n\r\n`, 'HEADERS_TOO_LARGE'],
    ['two lengths', 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}', 'BAD_REQUEST'],
    [
      'a socket elsewhere',
      'GET /api/v1/rooms HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
      'RESOURCE_NOT_FOUND',
    ],
  ] as const) {
    it(`are answered in the format of every error: ${what}`, async () => {
      const [head, body] = (await answerTo(bytes)).split('\r\n\r\n');
      const status = ERROR_STATUS[code];
      assert.match(head!, new RegExp(`^HTTP/1.1 ${status} `));
      const { status_code, error_code, request_id, ...rest } = JSON.parse(body!) as Record<string, unknown>;
      assert.equal(status_code, status);
      assert.equal(error_code, code);
      assert.ok(head!.includes(`X-Request-Id: ${String(request_id)}`));
      assert.deepEqual(Object.keys(rest), ['detail', 'timestamp']);
    });
  }

  it('have to be there as a whole in a minute, however slowly they come', () => {
    const { requestTimeout, headersTimeout } = api.app.getHttpServer();
    assert.deepEqual([requestTimeout, headersTimeout], [60_000, 60_000]);
  });

  it('are served as they are when they offer another protocol, as clients that know HTTP/2 do', async () => {
    const tenant = await aTenant(api);
    const user = await aUser(tenant);
    const body = JSON.stringify({ room_id: await aRoom(tenant, user), content: 'Über HTTP' });
    const offer = 'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n';
    const head = `Host: x\r\nAuthorization: Bearer ${user.key}\r\n`;
    const answer = await answerTo(
      `POST /api/v1/messages HTTP/1.1\r\n${head}${offer}Content-Type: application/json\r\n` +
        `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
      `GET /api/v1/users/me HTTP/1.1\r\n${head}${offer}\r\n`,
      `GET /health/live HTTP/1.1\r\n${head}Connection: close\r\n\r\n`,
    );
    assert.deepEqual(answer.match(/HTTP\/1\.1 \d+ /g), ['HTTP/1.1 201 ', 'HTTP/1.1 200 ', 'HTTP/1.1 200 ']);
    assert.match(answer, /"content":"Über HTTP"/);
  });
});
