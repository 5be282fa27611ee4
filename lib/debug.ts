import type createDebug from 'debug'

/**
 * One namespace a step of the way: `DEBUG=conversion-webhook:*` shows every decision.
 * Lines hold codes, counts and the first characters of an id; never a parameter's text, a secret, a URL or an address.
 */
export const debug = {
  route: namespace('route'),
  credentials: namespace('credentials'),
  body: namespace('body'),
  parse: namespace('parse'),
  inbox: namespace('inbox'),
  delivery: namespace('delivery'),
  answer: namespace('answer'),
}

/** The package is loaded with the first line: it takes longer than all of ours, and an Express app has it anyway. */
function namespace(name: string): (format: string, ...values: readonly (string | number | undefined)[]) => void {
  let log: createDebug.Debugger | undefined
  return (format, ...values) => {
    log ??= (require('debug') as typeof createDebug)(`conversion-webhook:${name}`)
    log(format, ...values)
  }
}

/** Enough of an id to follow one conversion through the lines. */
export function shortId(id: string): string {
  return id.slice(0, 8)
}
