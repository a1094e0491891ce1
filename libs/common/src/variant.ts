import { applyDecorators } from '@nestjs/common';
import { ApiExtraModels, getSchemaPath } from '@nestjs/swagger';
import type { DtoClass } from './dto-validator.js';
import { Field, type FieldCheck } from './fields.js';

/** Metadata key of {@link VariantRule}. */
const VARIANT = Symbol('chatapi:variant');

/** Names the class that reads an object by one of the object's own fields. */
export interface VariantRule {
  discriminator: string;
  classes: Readonly<Record<string, DtoClass>>;
}

/** An object whose field `discriminator` says which class has its rules; faults are named `field.inner`. */
export function Variant(discriminator: string, classes: Readonly<Record<string, DtoClass>>): PropertyDecorator {
  const check: FieldCheck = (value) =>
    value !== null && typeof value === 'object' && !Array.isArray(value) ? undefined : 'must be an object';
  const mapping = Object.fromEntries(Object.entries(classes).map(([name, dto]) => [name, getSchemaPath(dto)]));
  const rule: VariantRule = { discriminator, classes };
  return applyDecorators(
    (target: object, property: string | symbol) => {
      ApiExtraModels(...Object.values(classes))(target.constructor);
      Reflect.defineMetadata(VARIANT, rule, target, property);
    },
    Field('variant', check, {
      oneOf: Object.values(mapping).map(($ref) => ({ $ref })),
      discriminator: { propertyName: discriminator, mapping },
    }),
  );
}

/** The rule of a field marked {@link Variant}. */
export function variantOf(prototype: object, property: string): VariantRule | undefined {
  return Reflect.getMetadata(VARIANT, prototype, property) as VariantRule | undefined;
}
