/* Recognises statements that begin or end transactions by their first words. Pure, and linear in the length of the statement. */

/**
 * What a statement does to its transaction. `begin`, `commit` and `rollback` can become a savepoint's. `refuse` cannot be part of a transaction
 * that goes on, or is one of the three among other statements. Undefined for all other statements.
 */
export type Control = 'begin' | 'commit' | 'rollback' | 'refuse'

/** The names of the package's savepoints begin so; no other statement may name one. */
export const savepoint = 'conversion_webhook'

const words = ['BEGIN', 'START', 'COMMIT', 'END', 'ROLLBACK', 'ABORT', 'PREPARE', 'SET', 'SAVEPOINT', 'RELEASE']
/** The number of words of the longest BEGIN. */
const maxWords = 20

const modes = '( ISOLATION LEVEL READ COMMITTED| READ WRITE| NOT DEFERRABLE| ,)*'
const block = '( WORK| TRANSACTION)?'
const ours = savepoint.toUpperCase()

/** The first pattern that fits decides. A statement that begins with one of `words` and fits no pattern is refused. */
const rules: readonly (readonly [RegExp, Control | undefined])[] = [
  [new RegExp(`^(BEGIN${block}|START TRANSACTION)${modes}$`), 'begin'],
  [new RegExp(`^(COMMIT|END)${block}( AND NO CHAIN)?$`), 'commit'],
  [new RegExp(`^(ROLLBACK|ABORT)${block}( AND NO CHAIN)?$`), 'rollback'],
  [new RegExp(`^(SAVEPOINT|RELEASE( SAVEPOINT)?|ROLLBACK${block} TO( SAVEPOINT)?)( ")? ${ours}`), 'refuse'],
  [new RegExp(`^(SAVEPOINT |RELEASE |ROLLBACK${block} TO )`), undefined],
  [new RegExp(`^SET( LOCAL| SESSION)? TRANSACTION${modes}$`), undefined],
  [/^SET( LOCAL| SESSION)? TRANSACTION /, 'refuse'],
  [/^PREPARE TRANSACTION /, 'refuse'],
  [/^(SET|PREPARE) /, undefined],
]

export function controlOf(text: string): Control | undefined {
  const read = wordsOf(text)
  const first = read.next().value
  if (first === undefined || !words.includes(first)) return undefined
  const statement = [first]
  for (const word of read) {
    if (statement.push(word) > maxWords) break
  }
  const rule = rules.find(([pattern]) => pattern.test(statement.join(' ')))
  return rule === undefined ? 'refuse' : rule[1]
}

/** A semicolon anywhere, before a word that ends a transaction or before a comment that could hide one. */
const another = /;\s*(--|\/\*|(COMMIT|END|ROLLBACK|ABORT|PREPARE)\b)/i

/**
 * Whether a later statement in a text could end the transaction, if `controlOf` finds the first one harmless. Also true for some texts that could
 * not, since strings and comments are not recognised. Procedures and DO blocks cannot: PostgreSQL refuses a COMMIT in them inside of a
 * transaction.
 */
export function maySayMore(text: string): boolean {
  return another.test(text)
}

/** Words in upper case and other characters, without blanks, comments, and semicolons before the first and after the last. */
function* wordsOf(text: string): Generator<string, undefined> {
  const token = /[ \t\n\r\f\v]+|--[^\n\r]*|\/\*|\w+|[^]/gy
  let isBefore = true
  let semicolon = false
  for (let found = token.exec(text); found !== null; found = token.exec(text)) {
    const [word] = found
    if (word === '/*') token.lastIndex = afterComment(text, token.lastIndex)
    else if (word === ';') semicolon = !isBefore
    else if (!/^(--|[ \t\n\r\f\v])/.test(word)) {
      if (semicolon) yield ';'
      semicolon = false
      isBefore = false
      yield word.toUpperCase()
    }
  }
  return undefined
}

/** The end of a block comment. Block comments nest. */
function afterComment(text: string, start: number): number {
  const edge = /\/\*|\*\//g
  edge.lastIndex = start
  let depth = 1
  while (depth > 0) {
    const found = edge.exec(text)
    if (found === null) return text.length
    depth += found[0] === '/*' ? 1 : -1
  }
  return edge.lastIndex
}
