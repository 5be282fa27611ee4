import { controlOf, maySayMore } from '../../lib/inbox/stores/postgres-statements.js'
import { expectLinear, filled } from '../support/linear.js'

/* Whether a statement begins or ends a transaction, judged by its first words. */

test.each([
  ['begin', ['BEGIN', 'begin;', ' Begin Work ; ', 'START TRANSACTION', 'begin isolation level read committed']],
  ['begin', ['BEGIN TRANSACTION ISOLATION LEVEL READ COMMITTED, READ WRITE, NOT DEFERRABLE', ';;BEGIN;;']],
  [
    'commit',
    ['COMMIT', 'end', 'COMMIT WORK', 'End Transaction;', 'COMMIT AND NO CHAIN', '-- x\nCOMMIT', '\f\v/**/COMMIT'],
  ],
  ['commit', ['/* /* nested */ still */ commit', 'commit/*x*/work', '--\r--\nCOMMIT -- done']],
  ['rollback', ['ROLLBACK', 'abort', 'ROLLBACK TRANSACTION', 'rollback and no chain;']],
  ['refuse', ['BEGIN ISOLATION LEVEL SERIALIZABLE', 'BEGIN READ ONLY', 'START TRANSACTION DEFERRABLE']],
  ['refuse', ['COMMIT AND CHAIN', 'ROLLBACK AND CHAIN', "COMMIT PREPARED 'x'", "ROLLBACK PREPARED 'x'"]],
  ['refuse', ['SET TRANSACTION ISOLATION LEVEL SERIALIZABLE', 'set local transaction read only']],
  ['refuse', ["PREPARE TRANSACTION 'x'", "SET TRANSACTION SNAPSHOT '1'", 'BEGIN; SELECT 1', 'COMMIT; BEGIN']],
  ['refuse', ['SAVEPOINT conversion_webhook', 'release "conversion_webhook_1"', 'rollback work to CONVERSION_WEBHOOK']],
  [
    undefined,
    ['SAVEPOINT mine', 'RELEASE mine', 'RELEASE SAVEPOINT mine', 'ROLLBACK TO mine', 'rollback to savepoint a'],
  ],
  [
    undefined,
    ['SELECT 1', '', ' ', '-- COMMIT', '/* COMMIT', "SELECT 'x'; COMMIT", 'BEGINNING', 'commits', '"COMMIT"'],
  ],
  [undefined, ["SET search_path = 'x'", 'PREPARE find AS SELECT 1', 'SET TRANSACTION ISOLATION LEVEL READ COMMITTED']],
  [undefined, ['INSERT INTO begin VALUES (1)', '/COMMIT', '$COMMIT']],
] as const)('%s: %j', (control, texts) => {
  expect(texts.map((text) => [text, controlOf(text)])).toEqual(texts.map((text) => [text, control]))
})

test.each([
  [false, ['SELECT 1', '', 'COMMIT', 'INSERT INTO a VALUES (1);', 'SELECT 1; SELECT 2', 'SELECT 1; ENDING', ';;;']],
  [false, ['CASE WHEN a THEN b END', "SELECT 'COMMIT'", 'SELECT 1; SELECT CASE WHEN a THEN b END', 'COMMIT; BEGIN']],
  [
    true,
    ['SELECT 1; COMMIT', 'SELECT 1;commit;BEGIN', 'SET a = 1; \n\tEND', 'SAVEPOINT a;\f\vAbort', 'a; ROLLBACK TO a'],
  ],
  [true, ["SELECT 1; PREPARE TRANSACTION 'x'", 'SELECT 1;;; COMMIT', 'SELECT 1; /**/ COMMIT', 'SELECT 1; -- x\nEND']],
  // In doubt, since what looks like a comment or a string may be none.
  [true, ["SELECT '/*'; COMMIT; SELECT '*/'", "SELECT '; COMMIT'", 'SELECT 1; -- done', "SELECT E'\\'; COMMIT --'"]],
  [true, ['DO $$ BEGIN COMMIT; END $$', 'SELECT $a$ $a$; COMMIT', 'SELECT "a;"; COMMIT']],
] as const)('could end a transaction by a statement after its first: %s, %j', (mayEnd, texts) => {
  expect(texts.map((text) => [text, maySayMore(text)])).toEqual(texts.map((text) => [text, mayEnd]))
})

test.each(['/*', '*/', '--\n', ';', ' ', '; ', ';;  ', ';en', ';-', '/* */', 'BEGIN ', 'READ WRITE, ', '"', '- '])(
  'takes time in proportion to the text: %j',
  (part) => {
    expectLinear((size) => filled(part, size), controlOf, 262_144)
    expectLinear((size) => `BEGIN ${filled(part, size)}`, controlOf, 262_144)
    expectLinear((size) => filled(part, size), maySayMore, 262_144)
  },
)
