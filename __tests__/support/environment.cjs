/*
 * Node's environment of Jest, with Node's own `require` as `nativeRequire`: Jest's cannot load ES modules, and pg-boss is one.
 */
const { TestEnvironment } = require('jest-environment-node')

module.exports = class extends TestEnvironment {
  constructor(...args) {
    super(...args)
    this.global.nativeRequire = require
  }
}
