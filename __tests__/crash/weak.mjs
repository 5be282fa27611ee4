/* Preloaded by `power.mjs --weak`: sets `synchronous = NORMAL` in the SQLite inbox, so that power losses lose commits. */
import { DatabaseSync } from 'node:sqlite'

const { exec } = DatabaseSync.prototype
DatabaseSync.prototype.exec = function (sql) {
  return exec.call(this, sql.replace('synchronous = FULL', 'synchronous = NORMAL'))
}
