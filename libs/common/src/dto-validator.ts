import 'reflect-metadata';
import { getMetadataStorage, type ValidationArguments, type ValidatorConstraintInterface } from 'class-validator';
import { ApiError, invalid, type FieldError } from './errors.js';
import { nestedRule, type NestedRule } from './nested-fields.js';
import { variantOf, type VariantRule } from './variant.js';

/** A DTO class. */
export type DtoClass<T extends object = object> = new () => T;

interface CompiledField {
  name: string;
  conditions: ((object: object, value: unknown) => boolean)[];
  rules: { rule: ValidatorConstraintInterface; constraints: unknown[] }[];
  coerce: (text: string) => unknown;
  /** Of a field that holds other DTOs: the value with declared fields only; throws the 422 of its inside. */
  nested: ((value: unknown) => unknown) | undefined;
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
      const rule = nestedRule(dto.prototype as object, name);
      const variant = variantOf(dto.prototype as object, name);
      field = { name, conditions: [], rules: [], coerce: coercion(type), nested: rule && nestedParser(rule), variant };
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

/** Parses what a field holds by the DTO of its rule; faults are named by their path inside the field. */
function nestedParser({ dto, items }: NestedRule): (value: unknown) => unknown {
  let parser: DtoParser<object> | undefined;
  const parse = (value: unknown, path: string, errors: FieldError[]): unknown => {
    if (value === null || typeof value !== 'object' || Array.isArray(value)) {
      errors.push({ field: path, message: 'must be an object' });
      return undefined;
    }
    try {
      return (parser ??= compileDto(dto(), 'body'))(value);
    } catch (error) {
      if (!(error instanceof ApiError) || !error.errors) throw error;
      for (const { field, message } of error.errors) {
        errors.push({ field: `${path}.${field}`, message: message.slice(field.length).trimStart() });
      }
      return undefined;
    }
  };
  return (value) => {
    const errors: FieldError[] = [];
    let result: unknown;
    if (!items) result = parse(value, '', errors);
    else if (!Array.isArray(value)) errors.push({ field: '', message: 'must be an array of objects' });
    else if (value.length < items.min || value.length > items.max) {
      errors.push({ field: '', message: `must have ${items.min} to ${items.max} items` });
    } else result = value.map((item, index) => parse(item, `[${index}]`, errors));
    if (errors.length > 0) throw invalid(...errors);
    return result;
  };
}

const NO_ERRORS: FieldError[] = [];
const PATH = /^(?:\[\d+\]|\.\w+)+(?= )/;

/** The errors of a field's fault: one for each line, named by the path the line begins with. */
function errorsOf(name: string, fault: string): FieldError[] {
  return fault.split('\n').map((line) => {
    const path = PATH.exec(line)?.[0] ?? '';
    return { field: name + path, message: path ? name + line : `${name} ${line}` };
  });
}

/** Checks a field and puts its value into the result; answers what is wrong. */
function take(field: CompiledField, result: Record<string, unknown>, value: unknown): FieldError[] {
  const fault = faultOf(field, result, value);
  if (fault !== undefined) return errorsOf(field.name, fault);
  if (value === undefined) return NO_ERRORS;
  if (field.variant && value !== null) {
    const read = readVariant(field.name, field.variant, value as Record<string, unknown>);
    if (Array.isArray(read)) return read;
    result[field.name] = read;
    return NO_ERRORS;
  }
  const skipped = !field.nested || field.conditions.some((condition) => !condition(result, value));
  try {
    result[field.name] = skipped ? value : field.nested!(value);
    return NO_ERRORS;
  } catch (error) {
    if (!(error instanceof ApiError) || !error.errors) throw error;
    return error.errors.map(({ field: path, message }) => ({
      field: field.name + path,
      message: `${field.name}${path} ${message}`,
    }));
  }
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
      const faults = take(field, result, value);
      if (faults.length > 0) (errors ??= []).push(...faults);
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
