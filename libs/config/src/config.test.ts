import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ConfigError, readConfig } from './config.js';

function faultsOf(env: Record<string, string>): string[] {
  try {
    readConfig(env);
    return [];
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    return error.faults;
  }
}

const KEY = Buffer.alloc(32, 1).toString('base64');

/** For each variable with a form: values that have it, and values that have not. */
const FORMS: Record<string, { good: string[]; bad: string[] }> = {
  PORT: { good: ['0', '8000', '65535', ' 80 '], bad: ['-1', '65536', 'x', '80.5', '0x'] },
  PUBLIC_URL: { good: ['https://chat.example.com', 'http://localhost:1'], bad: ['chat.example.com', 'ftp://x'] },
  DATABASE_URL: {
    good: ['postgres://h/d', 'postgresql://u:p@h:5432/d', 'postgresql://u:p@/d?host=/run'],
    bad: ['mysql://h/d', 'nope'],
  },
  REDIS_URL: { good: ['redis://h:6379', 'rediss://u:p@h/1'], bad: ['http://h', 'localhost:6379'] },
  NODE_ENV: { good: ['development', 'test'], bad: ['prod', 'staging'] },
  ENCRYPTION_KEY: { good: [KEY, `${KEY},${KEY}`], bad: ['short', `${KEY},short`, `${KEY},`] },
  USER_KEY_TTL: { good: ['1s', '30m', '12h', '7d'], bad: ['7', '0d', 'd', '1w', '-1d'] },
  TRUST_PROXY: {
    good: ['true', 'false', '10.0.0.1', '10.0.0.0/8, ::1,fd00::/8'],
    bad: ['yes', '1', '10.0.0.0/33', '10.0.0.1,', 'proxy.example.com'],
  },
  LOG_LEVEL: { good: ['info', 'silent'], bad: ['verbose', 'INFO'] },
  RATE_LIMIT_AUTHENTICATION: { good: ['1/1', 'off'], bad: ['1', '0/1', '1/0', 'on', '1/1/1'] },
  RATE_LIMIT_MESSAGES: { good: ['100/60', 'off'], bad: ['100', '-1/60'] },
  RATE_LIMIT_NOTIFICATIONS: { good: ['100/60', 'off'], bad: ['a/b', '1 / 2'] },
  RATE_LIMIT_DEFAULT: { good: ['100/60', 'off'], bad: ['5', '5/'] },
  JOBS: { good: ['on', 'off'], bad: ['true', 'maybe'] },
  WS_MAX_CONNECTIONS_PER_PRINCIPAL: { good: ['1', '1000000'], bad: ['0', '1000001', 'many'] },
  WS_MAX_CONNECTIONS_PER_CLIENT: { good: ['1', '1000000'], bad: ['0', '1.5'] },
  WEBHOOK_RETRY_SCHEDULE: { good: ['5', '5,300, 1800'], bad: ['5s', '5,,6', Array(21).fill('1').join(',')] },
  NOTIFICATION_RETRY_SCHEDULE: { good: ['0', '30,120'], bad: ['-1', 'never'] },
  MAIL_URL: { good: ['smtp://h:25', 'smtps://u:p@h'], bad: ['http://h', 'mail.example.com'] },
  EGRESS_ALLOWED_CIDRS: {
    good: ['10.0.0.0/8', '10.0.0.0/8, fd00::/8'],
    bad: ['10.0.0.1', '10.0.0.0/33', 'fd00::/129', 'x'],
  },
};

describe('The configuration', () => {
  it('has a default for everything', () => assert.deepEqual(faultsOf({}), []));

  for (const [name, { good, bad }] of Object.entries(FORMS)) {
    it(`${name}: takes what has its form and names itself where the form is wrong`, () => {
      for (const value of good) assert.deepEqual(faultsOf({ [name]: value }), [], value);
      for (const value of bad) {
        const faults = faultsOf({ [name]: value });
        assert.equal(faults.length, 1, value);
        assert.ok(faults[0]!.startsWith(`${name} `), faults[0]);
        assert.ok(!faults[0]!.includes(KEY), 'a secret is never repeated');
      }
    });
  }

  it('takes an empty value as none', () => {
    for (const name of Object.keys(FORMS)) assert.deepEqual(faultsOf({ [name]: '' }), [], name);
  });

  it('needs ENCRYPTION_KEY in production', () => {
    assert.match(faultsOf({ NODE_ENV: 'production' }).join(), /^ENCRYPTION_KEY is required/);
    assert.deepEqual(faultsOf({ NODE_ENV: 'production', ENCRYPTION_KEY: KEY }), []);
  });

  const misspelt: Record<string, string> = {
    RATE_LIMIT_FOO: 'RATE_LIMIT_DEFAULT',
    RATE_LIMIT_MESSAGE: 'RATE_LIMIT_MESSAGES',
    WS_MAX_CONNECTIONS: 'WS_MAX_CONNECTIONS_PER_CLIENT',
    WEBHOOK_RETRY: 'WEBHOOK_RETRY_SCHEDULE',
    NOTIFICATION_RETRY_SHEDULE: 'NOTIFICATION_RETRY_SCHEDULE',
    MAIL_SERVER: 'MAIL_URL',
    EGRESS_ALLOWED_CIDR: 'EGRESS_ALLOWED_CIDRS',
    USER_KEY_TTL_S: 'USER_KEY_TTL',
    CORS_ORIGIN: 'CORS_ORIGINS',
    DATABASE_URI: 'DATABASE_URL',
    REDIS_ULR: 'REDIS_URL',
    TRUSTPROXY: 'TRUST_PROXY',
    REGISTRATION_TOKEN_: 'REGISTRATION_TOKEN',
    encryption_key: 'ENCRYPTION_KEY',
  };
  for (const [name, known] of Object.entries(misspelt)) {
    it(`${name} is refused and ${known} named: a misspelt variable would be one that silently does nothing`, () => {
      assert.deepEqual(faultsOf({ [name]: '1' }), [`${name} is not a variable of ChatAPI (did you mean ${known}?)`]);
    });
  }

  it('lets another spelling be beside the variable itself', () => {
    assert.deepEqual(faultsOf({ DATABASE_URI: 'postgres://h/d', DATABASE_URL: 'postgres://h/d' }), []);
  });

  it('lets be what is not ours', () => {
    const links = { WEBHOOK_SERVICE_HOST: 'x', WEBHOOK_SERVICE_PORT: '1', WEBHOOK_SERVICE_PORT_HTTP: '1' };
    const docker = { NOTIFICATION_PORT: 'tcp://x', NOTIFICATION_PORT_80_TCP: 'x', NOTIFICATION_PORT_80_TCP_ADDR: 'x' };
    assert.deepEqual(
      faultsOf({
        HOME: '/',
        HOSTS: 'x',
        MAIL: '/var/mail',
        DATABASE_NAME: 'x',
        NODE_OPTIONS: '',
        npm_config_x: '1',
        ...links,
        ...docker,
      }),
      [],
    );
  });

  it('names every fault at once', () => {
    const bad = Object.fromEntries(Object.entries(FORMS).map(([name, form]) => [name, form.bad[0]!]));
    assert.equal(faultsOf({ ...bad, RATE_LIMIT_FOO: '1' }).length, Object.keys(FORMS).length + 1);
  });
});
