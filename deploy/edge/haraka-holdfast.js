'use strict'
// Haraka: copy to plugins/holdfast.js and name it in config/plugins. A hook that throws lets
// mail pass, and one that does not answer defers it after 30 s: so every way ends in next().
const http = require('http')

const EDGE = process.env.HOLDFAST_EDGE || 'http://127.0.0.1:9997'

exports.register = function () {
  this.register_hook('mail', 'ask_holdfast')
}

exports.ask_holdfast = function (next, connection) {
  const account = connection.notes.auth_user
  if (!account) return next()
  let answered = false
  const end = (...args) => {
    if (answered) return
    answered = true
    next(...args)
  }
  try {
    const url = `${EDGE}/v1/status/account:${encodeURIComponent(account)}`
    const request = http.get(url, { timeout: 2000 }, (response) => {
      let body = ''
      response.on('data', (part) => { body += part })
      response.on('end', () => {
        try {
          const { status } = JSON.parse(body)
          if (status === 'suspended') return end(DENY, '5.7.1 This account is suspended.')
        } catch (error) {
          connection.logerror(this, `holdfast edge: ${error.message}`)
        }
        end()
      })
    })
    request.on('timeout', () => request.destroy(new Error('no answer in 2 s')))
    request.on('error', (error) => {
      connection.logerror(this, `holdfast edge: ${error.message}`)
      end()
    })
  } catch (error) {
    connection.logerror(this, `holdfast edge: ${error.message}`)
    end()
  }
}
