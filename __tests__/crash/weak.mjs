/* Preloaded, it takes the durability of a SQLite inbox back to NORMAL: what `power.mjs --weak` must find. */
import { DatabaseSync } from 'node:sqlite'

const { exec } = DatabaseSync.prototype
DatabaseSync.prototype.exec = function (sql) {
  return exec.call(this, sql.replace('synchronous = FULL', 'synchronous = NORMAL'))
}
