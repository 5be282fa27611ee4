import { MIMEType } from 'node:util'

export interface BodyType {
  readonly form: 'form' | 'json'
  readonly charset: string
}

/** Longer than any that a sender means. Node's parser takes the square of a type's blanks. */
const maxLength = 256

/** What a content type says the body is; undefined for anything that we do not read. */
export function bodyTypeOf(contentType = ''): BodyType | undefined {
  if (contentType.length > maxLength) return undefined
  let type: MIMEType
  try {
    type = new MIMEType(contentType)
  } catch {
    return undefined
  }
  const charset = type.params.get('charset') ?? 'utf-8'
  if (type.essence === 'application/x-www-form-urlencoded') return { form: 'form', charset }
  const isJson = type.essence === 'application/json' || type.essence === 'text/json' || type.subtype.endsWith('+json')
  return isJson ? { form: 'json', charset } : undefined
}
