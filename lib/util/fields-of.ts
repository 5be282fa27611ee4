/**
 * A copy of an object's own fields, so that each getter runs once. Undefined if the argument is no object, or if reading a field throws.
 */
export function fieldsOf(argument: unknown): Readonly<Record<string, unknown>> | undefined {
  try {
    return typeof argument === 'object' && argument !== null && !Array.isArray(argument) ? { ...argument } : undefined
  } catch {
    return undefined
  }
}
