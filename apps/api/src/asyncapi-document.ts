import type { INestApplication } from '@nestjs/common';
import { FRAME_TYPES, type FrameType } from '#libs/contracts';
import { commandsOf, type CommandDescription } from './asyncapi-commands.js';
import { CLOSE_MEANINGS, FRAMES } from './asyncapi-frames.js';
import { asyncApiSchemas, type Schemas } from './asyncapi-schemas.js';
import { pascal } from './openapi-schemas.js';

const PATHS = { websocket: '/api/v1/websocket/open', socketio: '/socket.io' } as const;
type Channel = keyof typeof PATHS;
const CHANNELS = Object.keys(PATHS) as Channel[];

type Json = Record<string, unknown>;

/** An AsyncAPI 3 document, as far as its readers here look into it. */
export interface AsyncApiDocument extends Json {
  asyncapi: string;
  channels: Record<string, { address: string; messages: Json }>;
  operations: Record<string, Json>;
  components: { schemas: Schemas; messages: Record<string, Json>; securitySchemes: Json };
}

const ref = (path: string): Json => ({ $ref: `#/${path}` });
const message = (name: string): Json => ref(`components/messages/${name}`);
const ofChannel = (channel: Channel, name: string): Json => ref(`channels/${channel}/messages/${name}`);

const DESCRIPTION = `Everything that happens in a room reaches its members as frames, gap-free and in the order of \`seq\`, over Socket.IO 4 or
plain WebSocket; commands go the other way. Both transports carry the same frames and commands, through the same validation,
permissions and limits as REST. The document describes the server: it *sends* frames and *receives* commands.

Frames with a \`seq\` arrive in its order, none missing and none twice; where the server cannot hold that it says \`resync\`. To resume
after a disconnect, \`subscribe\` with the last \`seq\` you have. docs/realtime.md explains it step by step.`;

function closeCodes(): string {
  const rows = Object.entries(CLOSE_MEANINGS).map(([code, meaning]) => `| ${code} | ${meaning} |`);
  return ['| close code | meaning |', '|---|---|', ...rows].join('\n');
}

const CHANNEL_TEXT: Record<Channel, { title: string; description: string }> = {
  websocket: {
    title: 'Plain WebSocket',
    description: `JSON text frames, at most 64 KiB from the client. The key comes in the \`Authorization\` header, in a first frame \`auth\` within
10 seconds, or as \`?ticket=\` (a GET of the same path without an upgrade hands one out). A command is answered by a frame \`ack\` or
\`error\` with its \`ref\`. Before the server closes a connection it sends \`error\` with the \`close_code\`.\n\n${closeCodes()}`,
  },
  socketio: {
    title: 'Socket.IO 4',
    description: `The event's name is the frame's \`type\`, its one argument the frame. \`auth: {token}\` or \`auth: {ticket}\`. A command is an event with
one argument and a callback, which gets \`{data}\` or \`{error}\`. There are no close codes: before the server disconnects it sends
\`error\` with the \`close_code\`.\n\n${closeCodes()}`,
  },
};

const SECURITY = {
  key: { type: 'http', scheme: 'bearer', description: 'A client key (ck_live_…) or a user key (sk_user_…).' },
  ticket: {
    type: 'httpApiKey',
    in: 'query',
    name: 'ticket',
    description: 'Stands for a key once, for 30 seconds; from GET /api/v1/websocket/open.',
  },
  firstFrame: {
    type: 'apiKey',
    in: 'password',
    description: 'The key in a first frame `{"type":"auth","data":{"token":"…"}}`, within 10 seconds.',
  },
  socketioAuth: {
    type: 'apiKey',
    in: 'password',
    description: "The key or a ticket in Socket.IO's `auth`: `{token}` or `{ticket}`.",
  },
};

function servers(publicUrl: string): Json {
  const { host, protocol } = new URL(publicUrl);
  const secure = protocol === 'https:';
  const scheme = (name: string): Json => ref(`components/securitySchemes/${name}`);
  return {
    websocket: {
      host,
      protocol: secure ? 'wss' : 'ws',
      description: 'Plain WebSocket.',
      security: ['key', 'ticket', 'firstFrame'].map(scheme),
    },
    socketio: {
      host,
      protocol: 'socketio',
      protocolVersion: '4',
      description: `Socket.IO over ${secure ? 'https' : 'http'}: websocket and long-polling.`,
      security: ['socketioAuth', 'key'].map(scheme),
    },
  };
}

function aMessage(name: string, summary: string, schema: string): Json {
  return { name, title: name, summary, contentType: 'application/json', payload: ref(`components/schemas/${schema}`) };
}

function messagesOf(commands: CommandDescription[]): Record<string, Json> {
  const messages: Record<string, Json> = {
    auth: aMessage('auth', 'Shows a key in the first frame.', 'AuthCommand'),
    refusal: aMessage('error', 'A command was refused.', 'Refusal'),
  };
  for (const type of FRAME_TYPES) messages[type] = aMessage(type, FRAMES[type].summary, `${pascal(type)}Frame`);
  for (const { name, summary } of commands) {
    const title = pascal(name);
    messages[`${name}.command`] = aMessage(name, summary, `${title}Command`);
    messages[`${name}.event`] = aMessage(name, summary, `${title}Event`);
    messages[`${name}.ack`] = aMessage('ack', `Answers ${name}.`, `${title}Ack`);
    messages[`${name}.reply`] = aMessage('ack', `Answers ${name}.`, `${title}Reply`);
  }
  return messages;
}

/** Names of a command's messages on a channel. */
function namesOn(channel: Channel, command: string): { asked: string; answered: string; refused: string } {
  return channel === 'websocket'
    ? { asked: `${command}.command`, answered: `${command}.ack`, refused: 'error' }
    : { asked: `${command}.event`, answered: `${command}.reply`, refused: 'refusal' };
}

function channelOf(channel: Channel, commands: CommandDescription[]): { address: string; messages: Json } & Json {
  const names: string[] = [...FRAME_TYPES, channel === 'websocket' ? 'auth' : 'refusal'];
  for (const { name } of commands) {
    const { asked, answered } = namesOn(channel, name);
    names.push(asked, answered);
  }
  const query = { type: 'object', properties: { ticket: { type: 'string', description: 'A one-time ticket.' } } };
  return {
    address: PATHS[channel],
    ...CHANNEL_TEXT[channel],
    servers: [ref(`servers/${channel}`)],
    messages: Object.fromEntries(names.map((name) => [name, message(name)])),
    ...(channel === 'websocket' ? { bindings: { ws: { method: 'GET', query } } } : {}),
  };
}

function operationsOf(channel: Channel, commands: CommandDescription[]): Record<string, Json> {
  const operations: Record<string, Json> = {};
  const on = ref(`channels/${channel}`);
  const send = (type: FrameType): void => {
    const { summary } = FRAMES[type];
    operations[`${channel}.frame.${type}`] = {
      action: 'send',
      channel: on,
      summary,
      messages: [ofChannel(channel, type)],
    };
  };
  for (const type of FRAME_TYPES) send(type);
  if (channel === 'websocket') {
    const summary = 'Shows a key in the first frame.';
    operations['websocket.command.auth'] = {
      action: 'receive',
      channel: on,
      summary,
      messages: [ofChannel(channel, 'auth')],
      reply: { channel: on, messages: ['connection_status', 'error'].map((name) => ofChannel(channel, name)) },
    };
  }
  for (const { name, summary, rules } of commands) {
    const { asked, answered, refused } = namesOn(channel, name);
    operations[`${channel}.command.${name}`] = {
      action: 'receive',
      channel: on,
      summary,
      messages: [ofChannel(channel, asked)],
      reply: { channel: on, messages: [answered, refused].map((one) => ofChannel(channel, one)) },
      'x-required-scopes': [...rules.scopes],
      'x-rate-limit': rules.family,
    };
  }
  return operations;
}

/** The AsyncAPI 3 document, made from the gateways' and DTOs' own metadata and the contract's frames. */
export function buildAsyncApi(app: INestApplication, publicUrl: string): AsyncApiDocument {
  const commands = commandsOf(app);
  return {
    asyncapi: '3.0.0',
    id: 'urn:chatapi:realtime',
    info: {
      title: 'ChatAPI real time',
      version: '1.0.0',
      description: `${DESCRIPTION}\n\n${closeCodes()}`,
      license: { name: 'MIT', url: 'https://opensource.org/license/mit' },
    },
    defaultContentType: 'application/json',
    servers: servers(publicUrl),
    channels: Object.fromEntries(CHANNELS.map((channel) => [channel, channelOf(channel, commands)])),
    operations: Object.assign({}, ...CHANNELS.map((channel) => operationsOf(channel, commands))) as Record<
      string,
      Json
    >,
    components: {
      schemas: asyncApiSchemas(app, commands),
      messages: messagesOf(commands),
      securitySchemes: SECURITY,
    },
  };
}
