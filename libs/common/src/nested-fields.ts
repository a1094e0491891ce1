import { applyDecorators, type Type } from '@nestjs/common';
import { ApiProperty, type ApiPropertyOptions } from '@nestjs/swagger';
import { ValidateBy } from 'class-validator';

const NESTED = 'chatapi:nested';

/** How a field holds another DTO. */
export interface NestedRule {
  dto: () => Type<object>;
  /** Set for a list. */
  items?: { min: number; max: number };
}

function hold(rule: NestedRule): PropertyDecorator {
  // The compiler of the DTO checks the inside; class-validator only has to know that the field has a rule.
  const known = ValidateBy({ name: 'nested', validator: { validate: (value) => value !== undefined } });
  const mark: PropertyDecorator = (target, name) => Reflect.defineMetadata(NESTED, rule, target, name);
  return applyDecorators(known, mark);
}

/** The field is an object described by another DTO; its faults are named `field.inner`. */
export function Nested(dto: () => Type<object>): PropertyDecorator {
  return applyDecorators(ApiProperty({ type: () => dto() } as ApiPropertyOptions), hold({ dto }));
}

/** The field is a list of `min` to `max` such objects; their faults are named `field[2].inner`. */
export function NestedList(dto: () => Type<object>, min: number, max: number): PropertyDecorator {
  // The document builder tells a lazy type from a class by the name of its function.
  const schema = { type: () => dto(), isArray: true, minItems: min, maxItems: max } as ApiPropertyOptions;
  return applyDecorators(ApiProperty(schema), hold({ dto, items: { min, max } }));
}

/** The rule of a field that holds another DTO. */
export function nestedRule(target: object, name: string): NestedRule | undefined {
  return Reflect.getMetadata(NESTED, target, name) as NestedRule | undefined;
}
