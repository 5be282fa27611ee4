import createDebug from 'debug'

/**
 * One namespace a step of the way: `DEBUG=conversion-webhook:*` shows every decision.
 * Lines hold codes, counts and the first characters of an id; never a parameter's text, a secret, a URL or an address.
 */
export const debug = {
  route: createDebug('conversion-webhook:route'),
  credentials: createDebug('conversion-webhook:credentials'),
  body: createDebug('conversion-webhook:body'),
  parse: createDebug('conversion-webhook:parse'),
  inbox: createDebug('conversion-webhook:inbox'),
  delivery: createDebug('conversion-webhook:delivery'),
  answer: createDebug('conversion-webhook:answer'),
}

/** Enough of an id to follow one conversion through the lines. */
export function shortId(id: string): string {
  return id.slice(0, 8)
}
