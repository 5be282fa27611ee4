import type createDebug from 'debug'

/**
 * One namespace per step of processing: `DEBUG=conversion-webhook:*` shows every decision.
 * Lines hold codes, counts and the first characters of an id; never the value of a parameter, a secret, a URL or an address. Of what code of
 * the app throws, only the name and code of an error of the inspector's `authorize` are printed, since no observer gets it.
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

/** Loads the package `debug` for the first line: importing it here would take longer than importing the rest of this package. */
function namespace(name: string): (format: string, ...values: readonly (string | number | undefined)[]) => void {
  let log: createDebug.Debugger | undefined
  return (format, ...values) => {
    log ??= (require('debug') as typeof createDebug)(`conversion-webhook:${name}`)
    if (log.enabled) log(format, ...values) // asked here too: the call alone would copy the values
  }
}

/** The first 8 characters of an id, enough to follow one conversion through the lines. */
export function shortId(id: string): string {
  return id.slice(0, 8)
}
