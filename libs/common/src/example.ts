const examples = new Map<string, object>();

/** An example of a whole DTO, where those of its fields do not go together. */
export function Example(value: object): ClassDecorator {
  return (target) => void examples.set(target.name, value);
}

/** The example of the DTO class of that name, where it has one of its own. */
export function wholeExample(name: string): object | undefined {
  return examples.get(name);
}
