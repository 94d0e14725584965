// Package console is the pages by which people work with Holdfast: the queue, a case, an
// account, and what else they look at. It renders on the server over api.Service and works
// without JavaScript; a few modules add what is live.
//
// It promises that a page is a GET that can be shared and changes nothing, that an act is a
// POST which another site cannot send and which answers with a redirect, and that nothing
// is loaded from elsewhere. It checks no rights: the service does, of the person who is
// signed in; pages only leave out what the service would refuse. What an event holds is
// text, wherever it comes from. Every word that people read stands in messages/en.yaml, or
// comes with the record that it is part of.
package console
