import { Module, type INestApplication, type Type } from '@nestjs/common';
import { DocumentBuilder, SwaggerModule } from '@nestjs/swagger';
import { CHANGE_FRAMES, FaultFrameDto, FRAME_TYPES, type FrameType } from '#libs/contracts';
import type { CommandDescription } from './asyncapi-commands.js';
import { FRAMES } from './asyncapi-frames.js';
import { inOpenApi31, pascal, type Schema } from './openapi-schemas.js';

/** Named schemas. */
export type Schemas = Record<string, Schema>;

const ref = (name: string): Schema => ({ $ref: `#/components/schemas/${name}` });
const timestamp: Schema = { type: 'string', format: 'date-time', description: 'When it happened, RFC 3339 in UTC.' };
const roomId: Schema = { type: 'string', format: 'uuid', description: 'The room it is about.' };
const seq: Schema = { type: 'integer', minimum: 1, description: "The room's number of this change." };
const commandRef: Schema = {
  type: ['string', 'number'],
  maxLength: 64,
  description: 'Your own mark of the command; its `ack` or `error` carries it back.',
};
const answeredRef: Schema = {
  type: ['string', 'number', 'null'],
  description: 'The `ref` of the command this answers; null: it had none.',
};

function typed(type: string): Schema {
  return { type: 'string', const: type, description: `Always "${type}".` };
}

function described(schema: Schema, description: string): Schema {
  return { allOf: [schema], description };
}

function objectOf(description: string, properties: Schemas, optional: string[] = []): Schema {
  const required = Object.keys(properties).filter((name) => !optional.includes(name));
  return { type: 'object', description, required, properties };
}

/** A frame as the server sends it. */
function frameSchema(type: FrameType): Schema {
  const { summary, data, room } = FRAMES[type];
  const numbered = (CHANGE_FRAMES as readonly string[]).includes(type);
  const properties: Schemas = { type: typed(type) };
  if (room !== 'never') properties['room_id'] = roomId;
  if (numbered) properties['seq'] = seq;
  properties['data'] = described(ref(data.name), 'What the frame tells.');
  properties['timestamp'] = timestamp;
  return objectOf(summary, properties, room === 'sometimes' ? ['room_id'] : []);
}

/** A command and its answer, on either transport. */
function commandSchemas({ name, summary, data, answer }: CommandDescription): Schemas {
  const given = data ? ref(data.name) : ref('Nothing');
  const got = answer ? ref(answer.name) : ref('Nothing');
  const title = pascal(name);
  return {
    [`${title}Command`]: objectOf(
      summary,
      { type: typed(name), ref: commandRef, data: described(given, 'What the command needs.') },
      data ? ['ref'] : ['ref', 'data'],
    ),
    [`${title}Event`]: described(given, `${summary} The one argument of the event.`),
    [`${title}Ack`]: objectOf(`Answers \`${name}\`.`, {
      type: typed('ack'),
      ref: answeredRef,
      data: described(got, 'The result.'),
      timestamp,
    }),
    [`${title}Reply`]: objectOf(`What the callback of \`${name}\` is called with.`, {
      data: described(got, 'The result.'),
    }),
  };
}

const fixed: Schemas = {
  Nothing: { type: 'object', description: 'An object without fields.' },
  ChangeFrame: {
    description: "A change of a room's conversation, in the order of seq.",
    oneOf: CHANGE_FRAMES.map((type) => ref(`${pascal(type)}Frame`)),
  },
  AuthCommand: objectOf('The first frame of a connection that showed no key in its request, within 10 seconds.', {
    type: typed('auth'),
    data: objectOf('The credential.', { token: { type: 'string', description: 'A client key or a user key.' } }),
  }),
  Refusal: objectOf('What the callback of a refused command is called with.', {
    error: described(ref(FaultFrameDto.name), 'Why.'),
  }),
};

@Module({})
class NoControllers {}

/** The schemas of DTO classes and of everything they refer to, as the OpenAPI document has them. */
function dtoSchemas(app: INestApplication, classes: Type[]): Schemas {
  const options = { include: [NoControllers], extraModels: classes };
  const document = SwaggerModule.createDocument(app, new DocumentBuilder().build(), options);
  return document.components?.schemas as Schemas;
}

/** AsyncAPI has `examples` where OpenAPI has `example`. */
function withExamples(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withExamples);
  if (value === null || typeof value !== 'object') return value;
  const entries = Object.entries(value).map(([key, inner]): [string, unknown] =>
    key === 'example' ? ['examples', [inner]] : [key, withExamples(inner)],
  );
  return Object.fromEntries(entries);
}

/** Every schema of the document, made from the classes that validate and from the tables of frames and commands. */
export function asyncApiSchemas(app: INestApplication, commands: CommandDescription[]): Schemas {
  const frames = Object.fromEntries(FRAME_TYPES.map((type) => [`${pascal(type)}Frame`, frameSchema(type)]));
  const ofCommands = commands.flatMap(({ data, answer }) => [data, answer]).filter((one) => one !== undefined);
  const classes = new Set<Type>([...FRAME_TYPES.map((type) => FRAMES[type].data), ...ofCommands]);
  const schemas: Schemas = {
    ...dtoSchemas(app, [...classes]),
    ...fixed,
    ...frames,
    ...Object.assign({}, ...commands.map(commandSchemas)),
  };
  const sorted = Object.fromEntries(Object.entries(schemas).sort(([a], [b]) => (a < b ? -1 : 1)));
  return inOpenApi31(withExamples(sorted)) as Schemas;
}
