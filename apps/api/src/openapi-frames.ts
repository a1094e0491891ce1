import { CHANGE_FRAMES } from '#libs/contracts';
import { FRAMES } from './asyncapi-frames.js';
import { pascal, type Schema } from './openapi-schemas.js';

const CHANGE_FRAME = 'ChangeFrameDto';

/**
 * Says which `data` goes with which `type`, which one class cannot: the change frame becomes one of a schema for each
 * type, named as in the AsyncAPI document, so that generated code that looks at `type` knows the data.
 */
export function splitChangeFrames(schemas: Record<string, Schema>): void {
  const { properties, ...frame } = schemas[CHANGE_FRAME]!;
  const mapping: Record<string, string> = {};
  for (const type of CHANGE_FRAMES) {
    const { summary, data } = FRAMES[type];
    const name = `${pascal(type)}Frame`;
    mapping[type] = `#/components/schemas/${name}`;
    schemas[name] = {
      ...frame,
      description: summary,
      properties: {
        ...properties,
        type: { type: 'string', const: type, description: 'What changed.', example: type },
        data: { description: 'What the frame tells.', allOf: [{ $ref: `#/components/schemas/${data.name}` }] },
      },
    };
  }
  schemas[CHANGE_FRAME] = {
    description: frame['description'],
    oneOf: Object.values(mapping).map(($ref) => ({ $ref })),
    discriminator: { propertyName: 'type', mapping },
  };
}
