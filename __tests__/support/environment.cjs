/*
 * Jest's Node environment, with Node's own `require` as the global `nativeRequire`. Jest's `require` cannot load ES modules such as pg-boss.
 */
const { TestEnvironment } = require('jest-environment-node')

module.exports = class extends TestEnvironment {
  constructor(...args) {
    super(...args)
    this.global.nativeRequire = require
  }
}
