/**
 * A copy of an argument's own fields, so that each is read once; undefined where it is no object, or one that throws when it is read.
 */
export function fieldsOf(argument: unknown): Readonly<Record<string, unknown>> | undefined {
  try {
    return typeof argument === 'object' && argument !== null && !Array.isArray(argument) ? { ...argument } : undefined
  } catch {
    return undefined
  }
}
