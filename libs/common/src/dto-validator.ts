import 'reflect-metadata';
import { getMetadataStorage, type ValidationArguments, type ValidatorConstraintInterface } from 'class-validator';
import { ApiError, invalid, type FieldError } from './errors.js';
import { variantOf, type VariantRule } from './variant.js';

/** A DTO class. */
export type DtoClass<T extends object = object> = new () => T;

interface CompiledField {
  name: string;
  conditions: ((object: object, value: unknown) => boolean)[];
  rules: { rule: ValidatorConstraintInterface; constraints: unknown[] }[];
  coerce: (text: string) => unknown;
  variant: VariantRule | undefined;
}

/** Turns raw input into an instance of the DTO holding its declared fields only, or throws the 422. */
export type DtoParser<T extends object> = (raw: unknown) => T;

const NUMERIC = /^-?\d{1,15}$/;

function coercion(type: unknown): (text: string) => unknown {
  if (type === Number) return (text) => (NUMERIC.test(text) ? Number(text) : text);
  if (type === Boolean) return (text) => (text === 'true' ? true : text === 'false' ? false : text);
  return (text) => text;
}

function compileFields(dto: DtoClass): CompiledField[] {
  const storage = getMetadataStorage();
  const fields = new Map<string, CompiledField>();
  for (const metadata of storage.getTargetValidationMetadatas(dto, '', false, false)) {
    const name = metadata.propertyName;
    let field = fields.get(name);
    if (!field) {
      const type: unknown = Reflect.getMetadata('design:type', dto.prototype as object, name);
      const variant = variantOf(dto.prototype as object, name);
      field = { name, conditions: [], rules: [], coerce: coercion(type), variant };
      fields.set(name, field);
    }
    if (metadata.type === 'conditionalValidation') {
      field.conditions.push(metadata.constraints[0] as CompiledField['conditions'][number]);
    } else if (metadata.constraintCls) {
      for (const constraint of storage.getTargetValidatorConstraints(metadata.constraintCls)) {
        field.rules.push({ rule: constraint.instance, constraints: metadata.constraints ?? [] });
      }
    } else {
      throw new Error(`${dto.name}.${name}: rule "${metadata.type}" cannot be compiled`);
    }
  }
  return [...fields.values()];
}

function faultOf(field: CompiledField, object: object, value: unknown): string | undefined {
  for (const condition of field.conditions) if (!condition(object, value)) return undefined;
  for (const { rule, constraints } of field.rules) {
    const args = { value, constraints, object, property: field.name, targetName: '' } as ValidationArguments;
    if (rule.validate(value, args) !== true) {
      return value === undefined ? 'is required' : (rule.defaultMessage?.(args) ?? 'is invalid');
    }
  }
  return undefined;
}

/**
 * Compiles the class-validator rules of a DTO class once. The rules are class-validator's own; what is left out is
 * its walk over the metadata on every request, which costs ten times as much as the checks (docs/performance.md).
 * `source` "query" turns the text of numbers and booleans into their values first.
 */
export function compileDto<T extends object>(dto: DtoClass<T>, source: 'body' | 'query'): DtoParser<T> {
  const fields = compileFields(dto);
  return (raw) => {
    if (raw === null || typeof raw !== 'object' || Array.isArray(raw)) {
      throw invalid({ field: 'body', message: 'must be a JSON object' });
    }
    const input = raw as Record<string, unknown>;
    const result = new dto() as Record<string, unknown>;
    let errors: FieldError[] | undefined;
    for (const field of fields) {
      let value = Object.hasOwn(input, field.name) ? input[field.name] : undefined;
      if (source === 'query' && typeof value === 'string') value = field.coerce(value);
      if (value === undefined) value = result[field.name];
      const fault = faultOf(field, result, value);
      if (fault !== undefined) (errors ??= []).push({ field: field.name, message: `${field.name} ${fault}` });
      else if (field.variant && value !== undefined && value !== null) {
        const read = readVariant(field.name, field.variant, value as Record<string, unknown>);
        if (Array.isArray(read)) (errors ??= []).push(...read);
        else result[field.name] = read;
      } else if (value !== undefined) result[field.name] = value;
    }
    if (errors) throw invalid(...errors);
    return result as T;
  };
}

const variantParsers = new WeakMap<DtoClass, DtoParser<object>>();

/** The object read by the class it names, or what is wrong with it. */
function readVariant(name: string, rule: VariantRule, value: Record<string, unknown>): object | FieldError[] {
  const chosen = Object.hasOwn(value, rule.discriminator) ? value[rule.discriminator] : undefined;
  const field = `${name}.${rule.discriminator}`;
  if (typeof chosen !== 'string' || !Object.hasOwn(rule.classes, chosen)) {
    const message = chosen === undefined ? 'is required' : `must be one of ${Object.keys(rule.classes).join(', ')}`;
    return [{ field, message: `${field} ${message}` }];
  }
  const dto = rule.classes[chosen]!;
  let parser = variantParsers.get(dto);
  if (!parser) variantParsers.set(dto, (parser = compileDto(dto, 'body')));
  try {
    return parser(value);
  } catch (error) {
    if (!(error instanceof ApiError) || !error.errors) throw error;
    return error.errors.map((one) => ({ field: `${name}.${one.field}`, message: `${name}.${one.message}` }));
  }
}
