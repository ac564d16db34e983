package web

import "github.com/gin-gonic/gin"

// signOut is POST /signOut.
func (d *desk) signOut(c *gin.Context) error { return errNoPage }

// signOutEverywhere is POST /signOut/everywhere.
func (d *desk) signOutEverywhere(c *gin.Context) error { return errNoPage }
